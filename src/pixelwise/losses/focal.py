"""Focal loss: cross entropy in which well-classified pixels count less."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.multilabel import binary_cross_entropy
from pixelwise.losses.pixels import Normalize, average, in_range, pixel_weights
from pixelwise.losses.term import MultiLabel, SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.focal import Focal

# Below this, 1 - p has no gradient: for gamma < 1 that of its power is infinite at 0, and the loss vanishes anyway.
_LEAST_DOUBT = 1e-6


def focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    class_weights: Tensor | None = None,
    normalize: Normalize = "valid",
    ranks: Ranks = ALONE,
) -> Tensor:
    """Mean of -alpha (1 - p)^gamma ln p, where p is the probability of a pixel's class.

    With gamma 0 it is the cross entropy.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        gamma: Focusing exponent, 0 or more: how strongly well-classified pixels are down-weighted.
        class_weights: The paper's alpha, (K,), or None for equal weights. A single alpha for all classes would be
            the weight of the whole term.
        normalize: `valid` divides by the sum of the weights of the labelled pixels, `all` by the number of pixels.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar, at least 0; 0 with zero gradients if every pixel is ignored or weighs nothing. With `valid` it is at
        most the largest value of a single pixel.

    Reference:
        Lin et al., ICCV 2017, arXiv:1708.02002, with softmax over the classes.
    """
    logits = at_least_float32(logits)
    targets = labels.long()
    # -ln p; 0 for ignored pixels.
    loss = F.nll_loss(logits.log_softmax(1), targets, ignore_index=IGNORE, reduction="none")
    doubt = -torch.expm1(-loss)  # 1 - p, exact where p is close to 1
    weights = pixel_weights(targets, logits.shape[1], in_range(class_weights, normalize), logits.dtype)
    total = (weights * doubt.clamp(min=_LEAST_DOUBT) ** gamma * loss).sum()
    return average(total, weights, normalize, ranks)


@computes(Focal)
def focal_term(seen: SingleLabel, term: Focal) -> Tensor:
    """Focal loss of a head."""
    return focal(
        seen.logits,
        seen.labels,
        gamma=term.gamma,
        class_weights=seen.class_weights,
        normalize=seen.normalize,
        ranks=seen.ranks,
    )


@computes(Focal, multilabel=True)
def binary_focal_term(seen: MultiLabel, term: Focal) -> Tensor:
    """Focal loss of a head with one sigmoid per class."""
    return binary_cross_entropy(
        seen.logits,
        seen.targets,
        seen.valid,
        positive_weights=seen.class_weights,
        gamma=term.gamma,
        normalize=seen.normalize,
        ranks=seen.ranks,
    )
