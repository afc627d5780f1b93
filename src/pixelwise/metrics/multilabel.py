"""Scores where a pixel may belong to several classes: every class is a question of its own, yes or no.

A pixel's classes are a bit field: bit k is class k. A class is predicted where its probability is above 0.5, which
is where its logit is above 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.metrics.scores import Scores, totals_of
from pixelwise.recipes.classes.tables import IGNORE_BIT


def upsampled_bits(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Which classes have a logit above 0 once the logits are enlarged bilinearly.

    One class after the other, so the full-size logits never exist together.

    Args:
        logits: (B, K, h, w), any floating type.
        size: (H, W) of the result.
        align_corners: As in `torch.nn.functional.interpolate`.

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
    """Truth values (K, ...) as bit fields (...) int32."""
    found = torch.zeros(present.shape[1:], dtype=torch.int32, device=present.device)
    for k, plane in enumerate(present):
        found |= plane.int() << k
    return found


def multilabel_counts(labels: Tensor | np.ndarray, prediction: Tensor | np.ndarray, num_classes: int) -> Tensor:
    """How often each class was found, invented, missed and rightly left out.

    Args:
        labels: Bit fields of any shape, int32 or int64; `IGNORE_BIT` where a pixel counts nowhere.
        prediction: Bit fields of the same shape.
        num_classes: K.

    Returns:
        (K, 4) int64 on the device of `labels`: TP, FP, FN, TN.

    Raises:
        ValueError: Shapes differ, or a bit is set that is no class.
    """
    labels, prediction = torch.as_tensor(labels), torch.as_tensor(prediction)
    if labels.shape != prediction.shape:
        raise ValueError(
            f"labels are {tuple(labels.shape)} but the prediction is {tuple(prediction.shape)}; "
            "bring both to the size at which they are compared"
        )
    valid = labels != IGNORE_BIT
    truth, found = labels[valid], prediction[valid]
    for name, values in (("labels", truth), ("prediction", found)):
        if bool((values >> num_classes != 0).any()):
            raise ValueError(f"{name} contain bits of {num_classes} and above; expected 0..{num_classes - 1}")
    both = truth & found
    hits, true, predicted = (
        torch.stack([(values >> k & 1).sum() for k in range(num_classes)]) for values in (both, truth, found)
    )
    return torch.stack([hits, predicted - hits, true - hits, truth.numel() - true - predicted + hits], dim=1)


def multilabel_scores(counts: np.ndarray | Tensor, absent: Literal["skip", "zero"] = "skip") -> Scores:
    """All scores of `multilabel_counts`.

    Args:
        counts: (K, 4): TP, FP, FN, TN.
        absent: As in `pixelwise.metrics.scores`.

    Returns:
        The scores; `pixel_accuracy` is the mean over pixels and classes, so it is high where classes are rare.
    """
    return totals_of(counts, multilabel=True).scores(absent)
