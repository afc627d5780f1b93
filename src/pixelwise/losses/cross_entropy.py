"""Cross entropy over labelled pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.pixels import Normalize, at_least_float32, average, pixel_weights
from pixelwise.recipes.classes.tables import IGNORE


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    normalize: Normalize = "valid",
) -> Tensor:
    """Cross entropy, averaged over labelled pixels with their class weights.

    Equals `F.cross_entropy(..., ignore_index=255)` except that a batch without any labelled pixel
    gives 0 with zero gradients instead of NaN.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        class_weights: (K,), or None for equal weights.
        label_smoothing: Share of the target spread over all classes, 0..1.
        normalize: `valid` divides by the weights of the labelled pixels; `all` by the number of pixels, ignored
            ones included, so that an image with few labels weighs little.

    Returns:
        Scalar, at least 0.
    """
    logits = at_least_float32(logits)
    targets = labels.long()
    total = F.cross_entropy(
        logits,
        targets,
        weight=None if class_weights is None else class_weights.to(logits.dtype),
        ignore_index=IGNORE,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    return average(total, pixel_weights(targets, logits.shape[1], class_weights, logits.dtype), normalize)
