"""Tversky loss: a soft overlap with separate costs for false positives and false negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.multilabel import binary_tversky
from pixelwise.losses.term import MultiLabel, SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.tversky import Tversky


def tversky(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    epsilon: float = 1e-6,
    ranks: Ranks = ALONE,
) -> Tensor:
    """1 - mean Tversky index TP / (TP + alpha FP + beta FN) over the classes that occur in the batch's labels.

    TP, FP and FN are sums of probabilities over the batch. With alpha = beta = 0.5 it is the soft Dice loss,
    with alpha = beta = 1 the soft Jaccard loss.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255 (ignored).
        alpha: Cost of a false positive; 0 or more.
        beta: Cost of a false negative, 0 or more; a larger value finds more pixels of rare classes. alpha + beta has
            to be above 0.
        epsilon: Added to numerator and denominator, to keep the quotient finite.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar in 0..1; 0 with zero gradients if every pixel is ignored.

    Reference:
        Salehi et al., MLMI 2017, arXiv:1706.05721.
    """
    probabilities = at_least_float32(logits).softmax(1)
    classes = torch.arange(probabilities.shape[1], device=labels.device, dtype=labels.dtype)
    # Besides the probabilities, the backward pass stores only these booleans of one byte each.
    truth = labels.unsqueeze(1) == classes.view(1, -1, 1, 1)
    valid = (labels != IGNORE).unsqueeze(1)
    hit = ranks.sum((probabilities * truth).sum((0, 2, 3)))
    predicted = ranks.sum((probabilities * valid).sum((0, 2, 3)))
    labelled = ranks.sum(truth.sum((0, 2, 3)))
    # Neither is negative, but a difference of two rounded sums may be, and a large cost would multiply it.
    wrong, missed = (predicted - hit).clamp(min=0), (labelled - hit).clamp(min=0)
    index = (hit + epsilon) / (hit + alpha * wrong + beta * missed + epsilon)
    present = labelled > 0
    return torch.where(present, 1 - index, torch.zeros_like(index)).sum() / present.sum().clamp(min=1)


@computes(Tversky)
def tversky_term(seen: SingleLabel, term: Tversky) -> Tensor:
    """Tversky loss of a head."""
    return tversky(seen.logits, seen.labels, alpha=term.alpha, beta=term.beta, ranks=seen.ranks)


@computes(Tversky, multilabel=True)
def binary_tversky_term(seen: MultiLabel, term: Tversky) -> Tensor:
    """Tversky loss of a head with one sigmoid per class."""
    return binary_tversky(seen.logits, seen.targets, seen.valid, alpha=term.alpha, beta=term.beta, ranks=seen.ranks)
