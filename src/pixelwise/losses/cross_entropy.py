"""Cross entropy over labelled pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.recipes.classes import IGNORE


def cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Cross entropy, averaged over labelled pixels with their class weights.

    Equals `F.cross_entropy(..., ignore_index=255)` except that a batch without any labelled pixel
    gives 0 with zero gradients instead of NaN.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        class_weights: (K,), or None for equal weights.
        label_smoothing: Share of the target spread over all classes, 0..1.

    Returns:
        Scalar, at least 0.
    """
    targets = labels.long()
    total = F.cross_entropy(
        logits.float(),
        targets,
        weight=class_weights,
        ignore_index=IGNORE,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    num_classes = logits.shape[1]
    weight_of_id = torch.zeros(256, device=logits.device)
    weight_of_id[:num_classes] = 1.0 if class_weights is None else class_weights
    normaliser = weight_of_id[targets].sum()
    # The sum is exactly 0 when the normaliser is, so any positive divisor is right there.
    return total / torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))
