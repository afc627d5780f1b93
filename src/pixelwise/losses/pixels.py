"""Helpers of the losses: precision, resizing, weights and averages of pixels."""

from __future__ import annotations

from typing import Literal

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.term import Normalize
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE


def same_size(
    logits: Tensor, labels: Tensor, compare_at: Literal["labels", "logits"], *, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """Bring logits and labels to the same size.

    Args:
        logits: (B, K, h, w), floating point.
        labels: (B, H, W), any integer type.
        compare_at: `labels` resizes the logits, bilinearly; `logits` resizes the labels by taking the centre of the
            pixels that the new one covers, and for an even number the pixel after the centre, as Pillow does.
        align_corners: Whether the bilinear interpolation aligns corners.

    Returns:
        Logits and labels, of which one is unchanged.
    """
    size = labels.shape[-2:]
    if logits.shape[-2:] == size:
        return logits, labels
    if compare_at == "labels":
        # The softmax needs each class contiguous in memory, and the small logits are cheaper to rearrange.
        return F.interpolate(logits.contiguous(), size, mode="bilinear", align_corners=align_corners), labels
    rows, columns = (
        ((torch.arange(fewer, device=labels.device) + 0.5) * (length / fewer)).long()
        for fewer, length in zip(logits.shape[-2:], size, strict=True)
    )
    return logits, labels[:, rows][:, :, columns]


_LIGHTEST, _HEAVIEST = 1e-6, 1e12
"""If the largest class weight is within these limits, weights can be summed over any batch in float32."""
_NOTHING = 1e-24
"""A class with a smaller fraction of the largest weight weighs nothing, because float32 would lose its digits."""


def in_range(class_weights: Tensor | None, normalize: Normalize) -> Tensor | None:
    """Class weights whose sum over a batch neither overflows nor loses digits.

    Only ratios of weights matter for a mean over weights, so tiny and huge ones are divided by the largest. Ordinary
    weights are returned as they are, to the bit.

    Args:
        class_weights: (K,), 0 or more, or None for equal weights.
        normalize: With `all` weights have a scale, and are returned unchanged.
    """
    if class_weights is None or normalize == "all":
        return class_weights
    largest = class_weights.max()
    ordinary = (largest == 0) | ((largest >= _LIGHTEST) & (largest <= _HEAVIEST))
    # The choice is made on the device, because reading the value would synchronise with a GPU.
    scaled = class_weights / torch.where(ordinary, torch.ones_like(largest), largest)
    return scaled.masked_fill(scaled < _NOTHING * scaled.max(), 0.0)


def pixel_weights(targets: Tensor, num_classes: int, class_weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The class weight of every pixel; 0 for ignored pixels.

    Args:
        targets: (B, H, W) int64, 0..K-1 or 255.
        num_classes: Number of classes K.
        class_weights: (K,), or None for equal weights.
        dtype: Data type of the result.

    Returns:
        (B, H, W).
    """
    weight_of_id = torch.zeros(256, device=targets.device, dtype=dtype)
    weight_of_id[:num_classes] = 1.0 if class_weights is None else class_weights
    return weight_of_id[targets]


def average(total: Tensor, weights: Tensor, normalize: Normalize, ranks: Ranks = ALONE) -> Tensor:
    """Turn a sum over pixels into a mean.

    Args:
        total: Scalar, the sum over the labelled pixels of weight times value; so it is 0 if every weight is.
        weights: (B, H, W), weight of every pixel, 0 for ignored ones.
        normalize: `valid` divides by the sum of the weights, `all` by the number of pixels, including ignored ones.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar; 0 if every weight is 0.
    """
    if normalize == "all":
        return ranks.sum(total) / ranks.count(weights.numel())
    normaliser = ranks.sum(weights.sum())
    # If the normaliser is 0, so is every weight and with it the sum, and any positive divisor is right.
    return ranks.sum(total) / torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))


def labelled_classes(labels: Tensor) -> list[list[int]]:
    """The classes of every image, in ascending order.

    Args:
        labels: (B, H, W) uint8 or int64 on the CPU, 0..254 or 255 (ignored).

    Returns:
        One list of class ids per image.
    """
    images = labels.to(torch.uint8).numpy()
    counts = [cv2.calcHist([image], [0], None, [IGNORE], [0, IGNORE]) for image in images]
    return [[class_id for class_id, count in enumerate(row.ravel().tolist()) if count] for row in counts]
