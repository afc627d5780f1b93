"""What the pre-label of an image tells of it: how unsure the network is, between which classes, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pixelwise.prediction.prediction import Prediction
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage.documents import DocumentError, read_json

SIGNALS = ".signals"
"""Folder of the signals of the images below the output; its name keeps it out of listings of images."""
FEATURES = 64
"""Number of values that describe how an image looks to the network."""
_SEED = 0


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the pre-label of an image.

    Attributes:
        image: File of the image, relative to the output.
        mask: File of the mask, relative to the output.
        sha256: SHA-256 of the mask as it was written, and of the one before it; any other means that it was corrected.
        pixels: Number of pixels of the image that are not missing in it.
        kept: Number of those that have a label.
        uncertainty: Mean over the pixels of the entropy of the probabilities of the classes, divided by its largest
            value, the logarithm of the number of classes: 0..1.
        margin: Mean difference between the two highest probabilities of a pixel, 0..1.
        between: Ids of the two classes between which most of the open pixels are undecided; None if none is open.
        share_between: Share of the open pixels that are, 0..1.
        features: How the image looks to the network: the means of its coarsest feature map, at most `FEATURES` values.
    """

    image: str
    mask: str
    sha256: tuple[str, ...]
    pixels: int
    kept: int
    uncertainty: float
    margin: float
    between: tuple[int, int] | None
    share_between: float
    features: tuple[float, ...]


def kept_labels(prediction: Prediction, sure: float) -> np.ndarray:
    """The labels uint8 (H, W) of a prediction with scores; 255 where the probability of the class is below `sure`."""
    if prediction.scores is None:
        raise AssertionError("pre-labels need scores")
    return np.where(prediction.scores.max(0) >= sure, prediction.labels, IGNORE).astype(np.uint8)


def measured(scores: np.ndarray, labels: np.ndarray, missing: np.ndarray | None = None) -> dict[str, Any]:
    """The fields of `Signals` that follow from probabilities float32 (K, H, W) and kept labels uint8 (H, W).

    Args:
        scores: Probabilities of the classes.
        labels: Kept labels; 255 where open.
        missing: bool (H, W), where the image has no pixels, which count for nothing; None if it has all.
    """
    there = np.ones(labels.shape, bool) if missing is None else ~missing
    found = scores[:, there].astype(np.float64)
    pixels, classes = found.shape[1], found.shape[0]
    if not pixels:
        return {"pixels": 0, "kept": 0, "uncertainty": 0.0, "margin": 1.0, "between": None, "share_between": 0.0}
    entropy = -(found * np.log(np.maximum(found, 1e-12))).sum(0) / np.log(max(2, classes))
    order = np.argpartition(found, -2, axis=0)[-2:] if classes > 1 else np.zeros((2, pixels), int)
    two = np.take_along_axis(found, order, 0)
    margin = np.abs(two[0] - two[1])
    is_open = labels[there] == IGNORE
    between, share = None, 0.0
    if is_open.any() and classes > 1:
        pairs = np.sort(order[:, is_open], axis=0)
        counts = np.bincount(pairs[0] * classes + pairs[1], minlength=classes * classes)
        most = int(counts.argmax())
        between, share = (most // classes, most % classes), float(counts[most] / is_open.sum())
    return {
        "pixels": int(pixels),
        "kept": int((~is_open).sum()),
        "uncertainty": _rounded(float(entropy.mean())),
        "margin": _rounded(float(margin.mean())),
        "between": between,
        "share_between": _rounded(share),
    }


def described(means: np.ndarray) -> tuple[float, ...]:
    """At most `FEATURES` values that keep the distances between descriptions of any length, float (D,), nearly.

    Longer ones are projected at random, always in the same way (Johnson and Lindenstrauss 1984).
    """
    if len(means) > FEATURES:
        projection = np.random.default_rng(_SEED).standard_normal((FEATURES, len(means))) / np.sqrt(FEATURES)
        means = projection @ means
    return tuple(_rounded(float(value)) for value in means)


def layout_of(scores: np.ndarray) -> np.ndarray:
    """A description for networks without feature maps: the mean probability of every class in each of 4x4 tiles."""
    rows = [np.array_split(part, 4, axis=2) for part in np.array_split(scores, 4, axis=1)]
    return np.concatenate([tile.mean((1, 2)) if tile.size else np.zeros(len(scores)) for row in rows for tile in row])


def read_signals(path: Path) -> Signals | None:
    """The signals of an image; None if there are none, or damaged ones, which are made again."""
    try:
        return read_json(path, Signals)
    except DocumentError:
        return None


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
