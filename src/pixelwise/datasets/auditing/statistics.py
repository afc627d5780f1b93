"""Statistics of a data set, and the class weights and image normalisation derived from them."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from pixelwise.datasets.auditing.audit import Audit, SplitStatistics, audit
from pixelwise.datasets.auditing.class_weights import (
    enet_weights,
    inverse_sqrt_weights,
    median_frequency_weights,
    positive_weights,
)
from pixelwise.datasets.opening import open_folder
from pixelwise.errors import DataError
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.overrides import Overrides
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage.stores.addresses import place_of

DIGITS = 6
"""Decimal places of the mean and the standard deviation written into a recipe."""
SMALLEST_STD = 0.1 / 255
"""A band with a smaller standard deviation counts as constant: dividing by it would amplify noise into a signal."""


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Training settings measured on the training split.

    Attributes:
        split: Name of the split.
        class_weights: Name of a rule in `loss.class_weights` -> one weight per class.
        mean: Mean of red, green and blue, or of each of `data.channels`, 0..1.
        std: Standard deviation of the same channels, 0..1.
    """

    split: str
    class_weights: dict[str, tuple[float, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a data set.

    Attributes:
        audit: Counts by split and class, sizes, findings.
        suggestions: Class weights and normalisation; None if there is nothing to train on.
        channels: The channels behind mean and standard deviation (`data.channels`); None: red, green and blue.
    """

    audit: Audit
    suggestions: Suggestions | None
    channels: tuple[int, ...] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Everything but the findings, as plain values for JSON."""
        histogram = self.audit.sizes.histogram
        return {
            "dataset": self.audit.dataset,
            "classes": self.audit.classes,
            "splits": self.audit.statistics,
            "sizes": [{"height": size[0], "width": size[1], "images": images} for size, images in histogram],
            "suggestions": self.suggestions,
        }


def statistics(root: str | os.PathLike[str], overrides: Overrides = (), *, observer: Observer = SILENT) -> Statistics:
    """Measure a data set: pixels and images per class, image sizes, channel statistics, class weights.

    Args:
        root: Folder of the data set.
        overrides: Overrides that set how the data is read, such as `data.channels=[3,2,1]`.
        observer: Receives the number of examined pairs.

    Raises:
        DataError: D222, the folder holds no data set; other errors that opening it raises.
        RecipeError: An override is invalid.
    """
    data, dataset = open_folder(place_of(root), overrides)
    found = audit(dataset, observer=observer)
    return Statistics(audit=found, suggestions=suggestions(found, data.train_split), channels=data.channels)


def suggestions(found: Audit, train_split: str = "train") -> Suggestions | None:
    """Class weights and normalisation for training; None if `train_split` has no usable pair."""
    counts = found.statistics.get(train_split)
    if counts is None or not counts.images:
        return None
    weights = _weights(counts)
    if found.multilabel:
        weights = {"inverse-sqrt": positive_weights(counts.pixels, counts.labelled_pixels)}
    return Suggestions(split=train_split, class_weights=weights, mean=counts.mean, std=counts.std)


def with_measured_bands(recipe: Recipe, counts: SplitStatistics) -> Recipe:
    """Fill in the measured normalisation of `data.channels`, unless the recipe already gives one for these bands.

    Args:
        recipe: Returned unchanged without `data.channels`, or if `model.preprocessing` has one value per band.
        counts: Statistics of the training split; all pixels of its images count, whatever their classes.

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
            f"band{'s' if len(constant) > 1 else ''} {', '.join(map(str, constant))} of data.channels: constant over "
            "all pixels of the training images",
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
