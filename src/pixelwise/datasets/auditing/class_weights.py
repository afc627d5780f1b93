"""Class weights of the loss, computed from pixel counts by pure functions; see `recipes.schema.loss.Loss`.

A class without pixels has no frequency. It gets the largest weight of the classes that occur (with `enet`, the value of
the formula for a share of 0); cross-entropy never uses that weight.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pixelwise.datasets.auditing.audit import SplitStatistics
from pixelwise.errors import RecipeError
from pixelwise.recipes.published.class_weights import PUBLISHED_WEIGHTS
from pixelwise.recipes.schema.recipe import ClassWeights
from pixelwise.records.data_facts import SplitFacts

_MAX_RATIO = 6.0


def class_weights(
    kind: ClassWeights, counts: SplitStatistics | SplitFacts, *, multilabel: bool = False
) -> tuple[float, ...] | None:
    """One weight per class, by a named rule or as given; None for `none`.

    Args:
        kind: Name of a rule, or the weights themselves, as in `loss.class_weights`.
        counts: Pixel counts of the training split.
        multilabel: Whether the weights apply to the positive pixels of each class, with weight 1 for negative ones.

    Raises:
        RecipeError: R203, the number of given or published weights differs from the number of classes.
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
            f"{source} {len(weights)} weights, but the data has {len(counts.pixels)} classes",
            "give one weight per class, or a rule that counts pixels, for example loss.class_weights=enet",
        )
    return weights


def positive_weights(pixels: Sequence[int], labelled: int) -> tuple[float, ...]:
    """Weights of positive pixels for multi-label data: sqrt(pixels without the class / pixels with it).

    Each is the ratio of the two weights that `inverse_sqrt_weights` would give to positive and negative pixels.

    Args:
        pixels: Number of pixels of each class.
        labelled: Number of pixels that are not ignored.

    Returns:
        One weight per class, clipped to 1/6..6; negative pixels have weight 1.
    """
    ratios = [math.sqrt((labelled - count) / count) if count else _MAX_RATIO for count in pixels]
    return tuple(min(max(ratio, 1 / _MAX_RATIO), _MAX_RATIO) for ratio in ratios)


def enet_weights(pixels: Sequence[int], void_pixels: int) -> tuple[float, ...]:
    """1 / ln(1.02 + p), where p is the class's share of all pixels, ignored ones included.

    Reference:
        Paszke et al. 2016, arXiv:1606.02147, section 5.1.
    """
    total = max(sum(pixels) + void_pixels, 1)
    return tuple(1 / math.log(1.02 + count / total) for count in pixels)


def median_frequency_weights(pixels: Sequence[int], pixels_of_images: Sequence[int]) -> tuple[float, ...]:
    """Median frequency / frequency, where a frequency is a class's share of the pixels in the images that contain it.

    Args:
        pixels: Number of labelled pixels of each class.
        pixels_of_images: Number of pixels, ignored ones included, in the images that contain each class.

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
    """1 / sqrt(p), where p is the class's share of labelled pixels.

    Weights are capped at 6 times the smallest one and then scaled to a mean of 1.
    """
    present = [1 / math.sqrt(count) for count in pixels if count]
    if not present:
        return (1.0,) * len(pixels)
    largest = min(max(present), _MAX_RATIO * min(present))
    weights = [min(1 / math.sqrt(count), largest) if count else largest for count in pixels]
    mean = sum(weights) / len(weights)
    return tuple(weight / mean for weight in weights)
