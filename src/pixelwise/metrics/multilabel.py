"""Scores for multi-label data, where a pixel may belong to several classes and each class is a binary decision.

The classes of a pixel are a bit field: bit k is class k. A class is predicted if its probability is above 0.5, that is,
if its logit is above 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.metrics.scores import Scores, totals_of
from pixelwise.recipes.class_sets.tables import IGNORE_BIT


def upsampled_bits(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bit fields of the classes whose bilinearly upsampled logits are above 0.

    Classes are upsampled one after the other, so the full-size logits of all classes never exist at once.

    Args:
        logits: (B, K, h, w), any floating-point type.
        size: (H, W) of the result.
        align_corners: Whether corners are aligned, as in `torch.nn.functional.interpolate`.

    Returns:
        (B, H, W) int32 bit fields.
    """
    B, K, h, w = logits.shape
    found = torch.zeros(B, *size, dtype=torch.int32, device=logits.device)
    for k in range(K):
        plane = logits[:, k : k + 1].float()
        if (h, w) != tuple(size):
            plane = F.interpolate(plane, size, mode="bilinear", align_corners=align_corners)
        found |= (plane[:, 0] > 0).int() << k
    return found


def bits_of(present: Tensor) -> Tensor:
    """Convert booleans (K, ...) into int32 bit fields (...)."""
    found = torch.zeros(present.shape[1:], dtype=torch.int32, device=present.device)
    for k, plane in enumerate(present):
        found |= plane.int() << k
    return found


def multilabel_counts(labels: Tensor | np.ndarray, prediction: Tensor | np.ndarray, num_classes: int) -> Tensor:
    """Count the true and false positives and negatives of each class.

    Args:
        labels: Bit fields of any shape, int32 or int64; ignored pixels are `IGNORE_BIT`.
        prediction: Bit fields of the same shape.
        num_classes: Number of classes K.

    Returns:
        (K, 4) int64 on the device of `labels`: TP, FP, FN, TN.

    Raises:
        ValueError: Shapes differ, or a bit is set that does not belong to a class.
    """
    labels, prediction = torch.as_tensor(labels), torch.as_tensor(prediction)
    if labels.shape != prediction.shape:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but the prediction has shape {tuple(prediction.shape)}; "
            "resize one of them to the size of the other"
        )
    valid = labels != IGNORE_BIT
    truth, found = labels[valid], prediction[valid]
    for name, values in (("labels", truth), ("prediction", found)):
        if bool((values >> num_classes != 0).any()):
            raise ValueError(f"{name}: bit {num_classes} or above is set; expected bits 0..{num_classes - 1}")
    both = truth & found
    hits, true, predicted = (
        torch.stack([(values >> k & 1).sum() for k in range(num_classes)]) for values in (both, truth, found)
    )
    return torch.stack([hits, predicted - hits, true - hits, truth.numel() - true - predicted + hits], dim=1)


def multilabel_scores(counts: np.ndarray | Tensor, absent: Literal["skip", "zero"] = "skip") -> Scores:
    """Compute all scores from `multilabel_counts`.

    Args:
        counts: (K, 4): TP, FP, FN, TN.
        absent: Treatment of a class without IoU in the mean: left out (`skip`) or counted as 0 (`zero`).

    Returns:
        The scores; `pixel_accuracy` is the mean over pixels and classes, so it is high where classes are rare.
    """
    return totals_of(counts, multilabel=True).scores(absent)
