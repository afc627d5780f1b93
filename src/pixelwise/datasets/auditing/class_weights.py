"""Class weights of the loss from pixel counts. Pure functions; see `recipes.schema.Loss`.

A class without a pixel has no frequency. It gets the largest weight of the classes that occur
(with `enet`, what the formula gives for a share of 0); cross entropy never uses it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pixelwise.datasets.auditing.audit import SplitStatistics
from pixelwise.errors import RecipeError
from pixelwise.recipes.published.class_weights import PUBLISHED_WEIGHTS
from pixelwise.recipes.schema.recipe import ClassWeights

_MAX_RATIO = 6.0


def class_weights(kind: ClassWeights, counts: SplitStatistics, *, multilabel: bool = False) -> tuple[float, ...] | None:
    """One weight per class by the named rule, or the given ones; None for `none`.

    Args:
        kind: Name of a rule, or the weights themselves, as in `loss.class_weights`.
        counts: Pixel counts of the training split.
        multilabel: Whether weights are those of the pixels that have a class, beside 1 of the others.

    Raises:
        RecipeError: R203, given or published weights of another number of classes.
    """
    if kind == "enet":
        return enet_weights(counts.pixels, counts.void_pixels)
    if kind == "median-frequency":
        return median_frequency_weights(counts.pixels, counts.pixels_of_images_with_class)
    if kind == "inverse-sqrt":
        if multilabel:
            return positive_weights(counts.pixels, counts.labelled_pixels)
        return inverse_sqrt_weights(counts.pixels)
    if kind == "none":
        return None
    weights = PUBLISHED_WEIGHTS[kind] if isinstance(kind, str) else kind
    if len(weights) != len(counts.pixels):
        source = f"loss.class_weights '{kind}' has" if isinstance(kind, str) else "loss.class_weights has"
        raise RecipeError(
            "R203",
            f"{source} {len(weights)} weights, the data has {len(counts.pixels)} classes",
            "give one weight per class, or a rule that counts the data, for example loss.class_weights=enet",
        )
    return weights


def positive_weights(pixels: Sequence[int], labelled: int) -> tuple[float, ...]:
    """sqrt(pixels without the class / pixels with it): `inverse_sqrt_weights` of the two, as the weight of the latter.

    Args:
        pixels: Number of pixels that have each class.
        labelled: Number of pixels that are not ignored.

    Returns:
        One weight per class, within 1/6..6; the other pixels weigh 1.
    """
    ratios = [math.sqrt((labelled - count) / count) if count else _MAX_RATIO for count in pixels]
    return tuple(min(max(ratio, 1 / _MAX_RATIO), _MAX_RATIO) for ratio in ratios)


def enet_weights(pixels: Sequence[int], void_pixels: int) -> tuple[float, ...]:
    """1 / ln(1.02 + p), p the class's share of all pixels, void included.

    Reference:
        Paszke et al. 2016, arXiv:1606.02147, section 5.1.
    """
    total = max(sum(pixels) + void_pixels, 1)
    return tuple(1 / math.log(1.02 + count / total) for count in pixels)


def median_frequency_weights(pixels: Sequence[int], pixels_of_images: Sequence[int]) -> tuple[float, ...]:
    """Median frequency / frequency, where a frequency counts only the images that hold the class.

    Args:
        pixels: Labelled pixels of each class.
        pixels_of_images: All pixels, ignored ones included, of the images that hold the class.

    Reference:
        Eigen and Fergus, ICCV 2015, arXiv:1411.4734, section 6.3.2.
    """
    frequencies = [count / total if count else None for count, total in zip(pixels, pixels_of_images, strict=True)]
    present = [frequency for frequency in frequencies if frequency is not None]
    if not present:
        return (1.0,) * len(pixels)
    median = statistics.median(present)
    return tuple(median / (frequency if frequency is not None else min(present)) for frequency in frequencies)


def inverse_sqrt_weights(pixels: Sequence[int]) -> tuple[float, ...]:
    """1 / sqrt(p), p the share of labelled pixels; at most 6 times the smallest; scaled to mean 1."""
    present = [1 / math.sqrt(count) for count in pixels if count]
    if not present:
        return (1.0,) * len(pixels)
    largest = min(max(present), _MAX_RATIO * min(present))
    weights = [min(1 / math.sqrt(count), largest) if count else largest for count in pixels]
    mean = sum(weights) / len(weights)
    return tuple(weight / mean for weight in weights)
