"""The teacher's part of the loss: how far what a network says is from what its teachers say.

Teachers say probabilities: of the classes at each pixel, or, for `channels`, of the places of each class. Those of
several teachers, or of several views, are averaged before they are compared.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.distillation import Distillation

_FLAT = 1e-16
"""Product of two variances below which values count as constant, and their correlation as 0."""


def taught_probabilities(logits: Tensor, distillation: Distillation, *, multilabel: bool = False) -> Tensor:
    """What a network says, as it is compared.

    Args:
        logits: (B, K, h, w) of the main head.
        distillation: Section of the recipe; its `match` and temperature T are used.
        multilabel: Whether each class has a sigmoid of its own.

    Returns:
        (B, K, h, w) in 0..1, at least float32. For `logits` and `dist`, the softmax over the classes of `logits` / T,
        or their sigmoid for multi-label data; for `channels`, the softmax over the pixels of each image and class.
    """
    scaled = at_least_float32(logits) / distillation.used_temperature
    if distillation.match == "channels":
        return scaled.flatten(2).softmax(2).view_as(scaled)
    return scaled.sigmoid() if multilabel else scaled.softmax(1)


def distillation_loss(
    logits: Tensor, taught: Tensor, distillation: Distillation, *, multilabel: bool = False, ranks: Ranks = ALONE
) -> Tensor:
    """The distance of a network from its teachers, without `distillation.weight`.

    With temperature T, K classes, and a mean over the images of the batch:

    - `logits`: T^2 times the mean over pixels of the Kullback-Leibler divergence KL(teacher || network); for
      multi-label data the mean over pixels and classes of that of two outcomes.
    - `channels`: T^2 times the mean over classes of the divergence of the distributions over the pixels.
    - `dist`: T^2 times (`between` (1 - mean over pixels of the correlation over classes) + `within` (1 - mean over
      classes of the correlation over the pixels of the batch)). With two classes a pixel's correlation is 1 or -1
      whatever is learned, and the first part is 0.

    Args:
        logits: (B, K, h, w) of the main head, any floating point.
        taught: (B, K, h, w), the `taught_probabilities` of the teachers, without gradient.
        distillation: Section of the recipe.
        multilabel: Whether each class has a sigmoid of its own.
        ranks: The processes that have the other images of the batch, see `segmentation_loss`.

    Returns:
        Scalar, at least float32, 0 or more (up to rounding); 0 for a network that says what the teachers say.

    References:
        Hinton et al., arXiv:1503.02531; Shu et al., ICCV 2021, arXiv:2011.13256; Huang et al., NeurIPS 2022,
        arXiv:2205.10536.
    """
    temperature = distillation.used_temperature
    if distillation.match == "dist":
        said = taught_probabilities(logits, distillation, multilabel=multilabel)
        return temperature**2 * _correlations(said, taught, distillation, ranks)
    scaled = at_least_float32(logits) / temperature
    if distillation.match == "channels":
        divergence = _divergence(taught, scaled.flatten(2).log_softmax(2).view_as(scaled))
        number = taught.shape[0] * taught.shape[1]
    elif multilabel:
        divergence = _divergence(taught, F.logsigmoid(scaled)) + _divergence(1 - taught, F.logsigmoid(-scaled))
        number = taught.numel()
    else:
        divergence = _divergence(taught, scaled.log_softmax(1))
        number = taught.numel() // taught.shape[1]
    return temperature**2 * ranks.sum(divergence) / ranks.count(number)


def _divergence(taught: Tensor, log_said: Tensor) -> Tensor:
    """Sum of p (ln p - ln q), where p = 0 adds nothing."""
    return (torch.xlogy(taught, taught) - taught * log_said).sum()


def _correlations(said: Tensor, taught: Tensor, distillation: Distillation, ranks: Ranks) -> Tensor:
    """The distance of `dist` from (B, K, h, w) probabilities, without the square of the temperature."""
    value = said.new_zeros(())
    pixels = ranks.count(said.numel() // said.shape[1])
    if distillation.between and said.shape[1] > 2:
        mine, theirs = (one - one.mean(1, keepdim=True) for one in (said, taught))
        over_classes = _correlation((mine * theirs).sum(1), mine.square().sum(1), theirs.square().sum(1))
        value = value + distillation.between * (1 - ranks.sum(over_classes.sum()) / pixels)
    if distillation.within:
        over = (0, 2, 3)
        # The gradient through the means is 0: centred values add up to 0, over all processes, not over each of them.
        mine, theirs = (one - (ranks.sum(one.detach().sum(over)) / pixels)[:, None, None] for one in (said, taught))
        products = (mine * theirs, mine.square(), theirs.square())
        over_pixels = _correlation(*(ranks.sum(one.sum(over)) for one in products))
        value = value + distillation.within * (1 - over_pixels.mean())
    return value


def _correlation(product: Tensor, mine: Tensor, theirs: Tensor) -> Tensor:
    """Pearson's correlation from sums of products and of squares of centred values; 0 where one is constant."""
    return product * (mine * theirs).clamp(min=_FLAT).rsqrt()
