"""The loss of a recipe: what `Loss` describes, as one number."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.dice import soft_dice
from pixelwise.recipes.schema import Loss


def segmentation_loss(
    head_logits: Sequence[Tensor],
    labels: Tensor,
    loss: Loss,
    class_weights: Tensor | None = None,
    *,
    align_corners: bool = False,
) -> Tensor:
    """Loss of the main head plus the weighted auxiliary ones.

    Args:
        head_logits: Main logits first, then auxiliary ones; each (B, K, h, w), upsampled here to
            the labels' size (bilinear).
        labels: (B, H, W), 0..K-1 or 255.
        loss: The recipe's section.
        class_weights: (K,) for the cross entropy.
        align_corners: The model's, for the upsampling.

    Returns:
        Scalar.
    """
    total: Tensor | None = None
    for index, logits in enumerate(head_logits):
        logits = logits.float()
        if logits.shape[-2:] != labels.shape[-2:]:
            logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=align_corners)
        value = cross_entropy(logits, labels, class_weights=class_weights, label_smoothing=loss.label_smoothing)
        if index == 0 and loss.dice:
            value = value + loss.dice * soft_dice(logits, labels)
        if index > 0:
            value = loss.auxiliary * value
        total = value if total is None else total + value
    if total is None:
        raise ValueError("head_logits is empty; expected the main logits at least")
    return total
