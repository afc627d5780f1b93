"""Online hard example mining: which pixels a head still finds difficult."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.pixels import at_least_float32
from pixelwise.recipes.classes.tables import IGNORE


@torch.no_grad()
def hard_labels(logits: Tensor, labels: Tensor, *, threshold: float = 0.9, min_kept: float = 100_000) -> Tensor:
    """The labels with the easy pixels ignored.

    A pixel stays when the probability of its class is at most the larger of `threshold` and the `min_kept`-th
    smallest probability of the batch. Where fewer pixels are labelled than `min_kept`, all of them stay.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        threshold: 0..1.
        min_kept: Number of pixels; below 1 the share of the B*H*W pixels, ignored ones included.

    Returns:
        (B, H, W), the labels' dtype; 255 where ignored or easy.

    Reference:
        Shrivastava et al., CVPR 2016, arXiv:1604.03540; over pixels as in ModelTC/EOD's `seg_ohem`.
    """
    pixels = labels.numel()
    wanted = min(pixels, int(min_kept) if min_kept >= 1 else math.ceil(min_kept * pixels))
    loss = F.cross_entropy(at_least_float32(logits), labels.long(), ignore_index=IGNORE, reduction="none")
    # Ignored pixels come last: when they are needed to reach `min_kept`, the limit is infinite.
    probability = torch.exp(-loss).masked_fill(labels == IGNORE, math.inf)
    limit = torch.full((), threshold, dtype=probability.dtype, device=probability.device)
    if wanted:
        # The value stays on the device: reading it would wait for the GPU.
        limit = probability.flatten().kthvalue(wanted).values.clamp(min=threshold)
    # A NaN is greater than nothing, so a broken pixel stays and the step is recognised as broken.
    return labels.masked_fill(probability > limit, IGNORE)
