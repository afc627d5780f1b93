"""What an audit measures for training: class weights and the normalisation of images."""

from __future__ import annotations

import msgspec

from pixelwise.datasets.auditing.audit import Audit, SplitStatistics
from pixelwise.datasets.auditing.class_weights import (
    enet_weights,
    inverse_sqrt_weights,
    median_frequency_weights,
    positive_weights,
)
from pixelwise.errors import DataError
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe

DIGITS = 6
"""Of the mean and the standard deviation that are written into a recipe."""
SMALLEST_STD = 0.1 / 255
"""A band that changes less than this is taken for constant: dividing by it would turn noise into a signal."""


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Values measured on the split that is trained on.

    Attributes:
        split: Which one.
        class_weights: `loss.class_weights` by its name -> one weight per class.
        mean: Of red, green and blue, or of each of `data.channels`, 0..1.
        std: Likewise.
    """

    split: str
    class_weights: dict[str, tuple[float, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def suggestions(found: Audit, train_split: str = "train") -> Suggestions | None:
    """What to train with; None where `train_split` has no usable pair."""
    counts = found.statistics.get(train_split)
    if counts is None or not counts.images:
        return None
    weights = _weights(counts)
    if found.multilabel:
        weights = {"inverse-sqrt": positive_weights(counts.pixels, counts.labelled_pixels)}
    return Suggestions(split=train_split, class_weights=weights, mean=counts.mean, std=counts.std)


def with_measured_bands(recipe: Recipe, counts: SplitStatistics) -> Recipe:
    """The recipe, normalising each of `data.channels` by what was measured where it does not say how.

    Args:
        recipe: Left as it is if `model.preprocessing` has as many values as there are bands.
        counts: Of the split that is trained on; all pixels of its images count, whatever the classes.

    Raises:
        DataError: D107, a band has the same value everywhere.
    """
    channels = recipe.data.channels
    if channels is None or recipe.model.preprocessing.in_channels == len(channels):
        return recipe
    constant = [band for band, std in zip(channels, counts.std, strict=True) if std < SMALLEST_STD]
    if constant:
        raise DataError(
            "D107",
            f"band{'s' if len(constant) > 1 else ''} {', '.join(map(str, constant))} of data.channels: the same value "
            "in all pixels of the training images",
            "leave it out of data.channels, choose a data.input_range that shows its values, or set "
            "model.preprocessing.mean and .std yourself",
        )
    measured = Preprocessing(
        mean=tuple(round(value, DIGITS) for value in counts.mean),
        std=tuple(round(value, DIGITS) for value in counts.std),
    )
    return msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, preprocessing=measured))


def _weights(counts: SplitStatistics) -> dict[str, tuple[float, ...]]:
    return {
        "enet": enet_weights(counts.pixels, counts.void_pixels),
        "median-frequency": median_frequency_weights(counts.pixels, counts.pixels_of_images_with_class),
        "inverse-sqrt": inverse_sqrt_weights(counts.pixels),
    }
