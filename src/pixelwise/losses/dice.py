"""Soft Dice loss."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.multilabel import binary_tversky
from pixelwise.losses.term import MultiLabel, SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.dice import Dice


def soft_dice(logits: Tensor, labels: Tensor, *, epsilon: float = 1e-6, ranks: Ranks = ALONE) -> Tensor:
    """1 - mean Dice coefficient of the softmax, over the classes that occur in the batch's labels.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255 (ignored).
        epsilon: Added to numerator and denominator, to keep the quotient finite.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar in 0..1; 0 with zero gradients if every pixel is ignored.

    Reference:
        Milletari et al., 3DV 2016, arXiv:1606.04797, with probabilities summed instead of squared.
    """
    valid = (labels != IGNORE).unsqueeze(1)
    probabilities = at_least_float32(logits).softmax(1) * valid
    targets = labels.unsqueeze(1).long().where(valid, 0)
    one_hot = torch.zeros_like(probabilities).scatter_(1, targets, valid.to(probabilities.dtype))
    intersection = ranks.sum((probabilities * one_hot).sum((0, 2, 3)))
    truth = ranks.sum(one_hot.sum((0, 2, 3)))
    dice = (2 * intersection + epsilon) / (ranks.sum(probabilities.sum((0, 2, 3))) + truth + epsilon)
    present = truth > 0
    return torch.where(present, 1 - dice, torch.zeros_like(dice)).sum() / present.sum().clamp(min=1)


@computes(Dice)
def dice_term(seen: SingleLabel, term: Dice) -> Tensor:
    """Soft Dice loss of a head."""
    return soft_dice(seen.logits, seen.labels, ranks=seen.ranks)


@computes(Dice, multilabel=True)
def binary_dice_term(seen: MultiLabel, term: Dice) -> Tensor:
    """Soft Dice loss of a head with one sigmoid per class."""
    return binary_tversky(seen.logits, seen.targets, seen.valid, ranks=seen.ranks)
