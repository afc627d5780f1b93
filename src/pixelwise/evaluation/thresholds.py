"""How often each probability of a class was right: what its mask would be with another threshold than a half.

Defined where every class is a yes-or-no question: for one of two classes, and for the classes of multi-label data.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

from pixelwise.evaluation.suspects import Predicted
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.records.details import ClassLevels

if TYPE_CHECKING:
    from pixelwise.metrics.image import Bands

LEVELS = 100
"""Level k holds the probabilities above k % and up to k + 1 %: with a threshold of t %, levels from t on are masked."""
HALF = LEVELS // 2
MOST_MAPS = 6
"""With more classes, no pictures of their probabilities are kept."""
LONGEST_SIDE = 640
"""Longest side of such a picture in pixels."""
_QUALITY = 60


class FoundLevels(NamedTuple):
    """Levels of a class in an image.

    Attributes:
        counts: The counts, without a picture.
        levels: The level of every pixel, uint8 (H, W); None if there are more than `MOST_MAPS` classes.
    """

    counts: ClassLevels
    levels: np.ndarray | None


def levels_of(predicted: Predicted, bands: Bands | None, num_classes: int) -> list[FoundLevels]:
    """Levels of the classes that are yes-or-no questions, from the probabilities of an image.

    Args:
        predicted: Labels and prediction; of two classes with the probability of the predicted one.
        bands: For multi-label data, yields the probabilities of all classes.
        num_classes: Number of classes of the network.

    Returns:
        One entry per class of multi-label data; one for class 1 of two; none for other data, or without probabilities.
    """
    if bands is not None:
        return _joined(list(range(num_classes)), _multilabel(predicted, bands, num_classes), keep=num_classes)
    if predicted.confidence is None or num_classes != 2:
        return []
    second = predicted.prediction == 1
    levels = _levels(np.where(second, predicted.confidence, 1 - predicted.confidence), second)
    labels = (predicted.truth == 1).astype(np.int8)
    labels[predicted.truth == IGNORE] = -1
    return _joined([1], iter([(levels[None], labels[None])]), keep=1)


def _multilabel(predicted: Predicted, bands: Bands, num_classes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Levels and labels of all classes in bands of rows, both (K, R, W)."""
    bits = np.arange(num_classes)[:, None, None]
    for first, probabilities in bands():
        rows = slice(first, first + probabilities.shape[1])
        truth = predicted.truth[None, rows]
        decided = (predicted.prediction[None, rows] >> bits & 1).astype(bool)
        yield _levels(probabilities.cpu().numpy(), decided), np.where(truth == IGNORE_BIT, -1, truth >> bits & 1)


def _levels(probabilities: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """Levels uint8; a pixel lies above the half exactly if the class was decided for, whatever the rounding."""
    levels = np.clip(np.ceil(probabilities * LEVELS) - 1, 0, LEVELS - 1).astype(np.uint8)
    return np.where(decided, np.maximum(levels, HALF), np.minimum(levels, HALF - 1)).astype(np.uint8)


def _joined(
    class_ids: Sequence[int], parts: Iterator[tuple[np.ndarray, np.ndarray]], *, keep: int
) -> list[FoundLevels]:
    """Counts of all parts, and their levels joined if there are few classes."""
    counts = np.zeros((len(class_ids), 2, LEVELS), np.int64)
    kept: list[np.ndarray] = []
    for levels, labels in parts:
        for place in range(len(class_ids)):
            for side in (0, 1):
                chosen = levels[place][labels[place] == side]
                counts[place, side] += np.bincount(chosen, minlength=LEVELS)
        if keep <= MOST_MAPS:
            kept.append(levels)
    joined = np.concatenate(kept, axis=1) if kept else None
    return [
        FoundLevels(
            ClassLevels(class_id=class_id, labelled=tuple(sides[1].tolist()), other=tuple(sides[0].tolist())),
            None if joined is None else joined[place],
        )
        for place, (class_id, sides) in enumerate(zip(class_ids, counts, strict=True))
    ]


def level_picture(levels: np.ndarray) -> bytes:
    """The levels, uint8 (H, W), as a small grey WebP picture: black is 0 %, white 100 %."""
    height, width = levels.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = np.round((levels.astype(np.float32) + 0.5) * (255 / LEVELS)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)).save(stream, "WEBP", quality=_QUALITY)
    return stream.getvalue()
