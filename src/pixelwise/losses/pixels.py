"""Which pixels count how much, and in which number format: what the losses share."""

from __future__ import annotations

from typing import Literal

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.term import Normalize
from pixelwise.recipes.classes.tables import IGNORE


def at_least_float32(logits: Tensor) -> Tensor:
    """The logits in float32, or as they are where they are more precise; a loss in bfloat16 would hardly move."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def same_size(
    logits: Tensor, labels: Tensor, compare_at: Literal["labels", "logits"], *, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """Logits and labels of one size.

    Args:
        logits: (B, K, h, w), floating.
        labels: (B, H, W), any integers.
        compare_at: `labels` resizes the logits, bilinearly; `logits` resizes the labels: of the pixels that a
            smaller one covers it takes the one at the centre, of an even number the one after it, as Pillow does.
        align_corners: Of the bilinear one.
    """
    size = labels.shape[-2:]
    if logits.shape[-2:] == size:
        return logits, labels
    if compare_at == "labels":
        # The softmax over classes wants each of them in one piece, and the small logits are cheaper to rearrange.
        return F.interpolate(logits.contiguous(), size, mode="bilinear", align_corners=align_corners), labels
    rows, columns = (
        ((torch.arange(fewer, device=labels.device) + 0.5) * (length / fewer)).long()
        for fewer, length in zip(logits.shape[-2:], size, strict=True)
    )
    return logits, labels[:, rows][:, :, columns]


def pixel_weights(targets: Tensor, num_classes: int, class_weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The class weight of every pixel, 0 where it is ignored.

    Args:
        targets: (B, H, W) int64, 0..K-1 or 255.
        num_classes: K.
        class_weights: (K,), or None for equal weights.
        dtype: Of the result.

    Returns:
        (B, H, W).
    """
    weight_of_id = torch.zeros(256, device=targets.device, dtype=dtype)
    weight_of_id[:num_classes] = 1.0 if class_weights is None else class_weights
    return weight_of_id[targets]


def average(total: Tensor, weights: Tensor, normalize: Normalize) -> Tensor:
    """A sum over pixels as a mean.

    Args:
        total: Scalar, the weighted sum over the labelled pixels.
        weights: (B, H, W), of every pixel, 0 where it is ignored.
        normalize: `valid` divides by the sum of the weights, `all` by the number of pixels, ignored ones included.

    Returns:
        Scalar; 0 if every weight is 0.
    """
    if normalize == "all":
        return total / weights.numel()
    normaliser = weights.sum()
    # The sum is exactly 0 when the normaliser is, so any positive divisor is right there.
    return total / torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))


def labelled_classes(labels: Tensor) -> list[list[int]]:
    """The classes of every image, in their order.

    Args:
        labels: (B, H, W) uint8 or int64 on the CPU, 0..254 or 255 (ignored).
    """
    images = labels.to(torch.uint8).numpy()
    counts = [cv2.calcHist([image], [0], None, [IGNORE], [0, IGNORE]) for image in images]
    return [[class_id for class_id, count in enumerate(row.ravel().tolist()) if count] for row in counts]
