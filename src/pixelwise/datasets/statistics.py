"""What an audit suggests for training: class weights, the normalisation of images, how sizes spread."""

from __future__ import annotations

import msgspec

from pixelwise.datasets.audit import Audit, SplitStatistics
from pixelwise.datasets.class_weights import (
    enet_weights,
    inverse_sqrt_weights,
    median_frequency_weights,
    positive_weights,
)


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Values measured on the split that is trained on.

    Attributes:
        split: Which one.
        class_weights: `loss.class_weights` by its name -> one weight per class.
        mean: Of red, green and blue, 0..1.
        std: Likewise.
    """

    split: str
    class_weights: dict[str, tuple[float, ...]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def suggestions(found: Audit, train_split: str = "train") -> Suggestions | None:
    """What to train with; None where `train_split` has no usable pair."""
    counts = found.statistics.get(train_split)
    if counts is None or not counts.images:
        return None
    weights = _weights(counts)
    if found.multilabel:
        weights = {"inverse-sqrt": positive_weights(counts.pixels, counts.labelled_pixels)}
    return Suggestions(split=train_split, class_weights=weights, mean=counts.mean, std=counts.std)


def _weights(counts: SplitStatistics) -> dict[str, tuple[float, ...]]:
    return {
        "enet": enet_weights(counts.pixels, counts.void_pixels),
        "median-frequency": median_frequency_weights(counts.pixels, counts.pixels_of_images_with_class),
        "inverse-sqrt": inverse_sqrt_weights(counts.pixels),
    }
