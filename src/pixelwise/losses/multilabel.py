"""Losses for multi-label data, where a pixel may belong to several classes or to none: one sigmoid per class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.pixels import Normalize
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE_BIT


def expanded(labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Expand bit fields into one boolean mask per class.

    Args:
        labels: (B, H, W) integers, bit k is class k; ignored pixels are `IGNORE_BIT`.
        num_classes: Number of classes K.

    Returns:
        The pixels of each class, bool (B, K, H, W), and the pixels that are not ignored, bool (B, 1, H, W).
    """
    bits = 1 << torch.arange(num_classes, device=labels.device, dtype=labels.dtype)
    targets = (labels.unsqueeze(1) & bits.view(1, -1, 1, 1)) != 0
    return targets, (labels != IGNORE_BIT).unsqueeze(1)


def binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    valid: Tensor,
    *,
    positive_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
    normalize: Normalize = "valid",
    ranks: Ranks = ALONE,
) -> Tensor:
    """Binary cross entropy of every class, averaged over labelled pixels and classes.

    Equals `F.binary_cross_entropy_with_logits(..., pos_weight=...)` over the labelled pixels, except that a batch
    without labelled pixels results in 0 with zero gradients.

    Args:
        logits: (B, K, H, W).
        targets: bool (B, K, H, W), the pixels of each class.
        valid: bool (B, 1, H, W), the pixels that are not ignored.
        positive_weights: (K,), weights of the pixels that have the class; None: 1.
        label_smoothing: Share of the way that each target is moved to 1/2, 0..1.
        gamma: Focusing exponent of the focal loss (arXiv:1708.02002): each value is multiplied by (1 - p)^gamma,
            where p is the probability of the correct answer; 0: none.
        normalize: `valid` divides by the number of labelled pixels times classes, `all` by that of all pixels times
            classes.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar, at least 0.
    """
    logits = at_least_float32(logits)
    wanted = targets.to(logits.dtype)
    if label_smoothing:
        wanted = wanted * (1 - label_smoothing) + label_smoothing / 2
    weights = None if positive_weights is None else positive_weights.to(logits.dtype).view(1, -1, 1, 1)
    values = F.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights, reduction="none")
    if gamma:
        # 1 - p is computed from the logit, to be exact where p is close to 1.
        doubt = torch.sigmoid(torch.where(targets, -logits, logits))
        values = values * doubt.clamp(min=1e-6) ** gamma
    total = ranks.sum(values.masked_fill(~valid, 0.0).sum())
    pixels = ranks.count(valid.numel()) if normalize == "all" else ranks.sum(valid.sum()).clamp(min=1)
    return total / (pixels * logits.shape[1])


def binary_tversky(
    logits: Tensor,
    targets: Tensor,
    valid: Tensor,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    epsilon: float = 1e-6,
    ranks: Ranks = ALONE,
) -> Tensor:
    """1 - mean Tversky index of the sigmoids over the classes that occur in the batch's labels.

    With alpha = beta = 0.5 it is the soft Dice loss.

    Args:
        logits: (B, K, H, W).
        targets: bool (B, K, H, W), the pixels of each class.
        valid: bool (B, 1, H, W), the pixels that are not ignored.
        alpha: Cost of a false positive, 0 or more.
        beta: Cost of a false negative, 0 or more.
        epsilon: Added to numerator and denominator, to keep the quotient finite.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar in 0..1; 0 with zero gradients if no class occurs.
    """
    probabilities = at_least_float32(logits).sigmoid()
    truth = targets & valid
    hit = ranks.sum((probabilities * truth).sum((0, 2, 3)))
    predicted = ranks.sum((probabilities * valid).sum((0, 2, 3)))
    labelled = ranks.sum(truth.sum((0, 2, 3)))
    # Neither is negative, but a difference of two rounded sums may be, and a large cost would multiply it.
    wrong, missed = (predicted - hit).clamp(min=0), (labelled - hit).clamp(min=0)
    index = (hit + epsilon) / (hit + alpha * wrong + beta * missed + epsilon)
    present = labelled > 0
    return torch.where(present, 1 - index, torch.zeros_like(index)).sum() / present.sum().clamp(min=1)
