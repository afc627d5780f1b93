"""Online hard example mining: selection of the pixels that a head still finds difficult."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE


@torch.no_grad()
def hard_labels(
    logits: Tensor, labels: Tensor, *, threshold: float = 0.9, min_kept: float = 100_000, ranks: Ranks = ALONE
) -> Tensor:
    """The labels, with easy pixels ignored.

    A pixel is kept if the probability of its class is at most the larger of `threshold` and the `min_kept`-th
    smallest probability of the batch. If fewer pixels than `min_kept` are labelled, all of them are kept.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        threshold: Probability of a pixel's class above which the pixel is easy, 0..1.
        min_kept: Number of pixels; below 1, share of all B*H*W pixels, including ignored ones.
        ranks: The processes that have the other images of the batch.

    Returns:
        (B, H, W), dtype of `labels`; 255 for ignored and easy pixels.

    Reference:
        Shrivastava et al., CVPR 2016, arXiv:1604.03540; over pixels as in ModelTC/EOD's `seg_ohem`.
    """
    pixels = ranks.count(labels.numel())
    wanted = min(pixels, int(min_kept) if min_kept >= 1 else math.ceil(min_kept * pixels))
    loss = F.cross_entropy(at_least_float32(logits), labels.long(), ignore_index=IGNORE, reduction="none")
    # Ignored pixels come last: if they are needed to reach `min_kept`, the limit is infinite.
    probability = torch.exp(-loss).masked_fill(labels == IGNORE, math.inf)
    limit = torch.full((), threshold, dtype=probability.dtype, device=probability.device)
    if wanted:
        # The value stays on the device, because reading it would synchronise with the GPU.
        limit = ranks.kth(probability, wanted).clamp(min=threshold)
    # No comparison with NaN is true, so a pixel with NaN is kept and the training step is recognised as broken.
    return labels.masked_fill(probability > limit, IGNORE)
