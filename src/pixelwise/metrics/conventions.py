"""Conventions of published code for computing the mIoU of a confusion matrix, by name.

They agree if every class is labelled and no pixel is predicted as void; otherwise the same predictions get
different scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.metrics.scores import as_counts

if TYPE_CHECKING:
    from torch import Tensor

CONVENTIONS = {
    "cityscapes": "a pixel predicted as void is a miss; classes without labels and predictions are left out",
    "pytorch-enet": "a pixel predicted as void is not counted; classes without labels and predictions are left out",
    "sssegmentation": "as cityscapes",
    "united-perception": "TP / (union + 1e-10); classes without labels and predictions count as 0",
    "edgeai": "TP / (union + float32's epsilon); classes without labels and predictions count as 0",
}
"""Name -> description of the convention."""


def miou(confusion: np.ndarray | Tensor, convention: str) -> float:
    """The mean IoU as `convention` computes it.

    Args:
        confusion: (K, K), rows ground truth, columns prediction; or (K, K + 1), whose last column counts the pixels
            predicted as void.
        convention: A key of `CONVENTIONS`.

    Returns:
        The mean IoU, 0..1; NaN if every class is left out.

    Raises:
        ValueError: There is no such convention, or the matrix has another shape.
    """
    if convention not in _MEANS:
        raise ValueError(f"no mIoU convention is named '{convention}'; expected one of: {', '.join(CONVENTIONS)}")
    return _MEANS[convention](as_counts(confusion))


def _mean_of_present(counts: np.ndarray) -> float:
    right, union = _parts(counts)
    found = [tp / whole for tp, whole in zip(right.tolist(), union.tolist(), strict=True) if whole]
    return math.fsum(found) / len(found) if found else math.nan


def _without_void_predictions(counts: np.ndarray) -> float:
    # PyTorch-ENet sets the row and the column of the unlabelled class to 0 before it computes sums.
    return _mean_of_present(counts[:, : len(counts)])


def _mean_of_all(epsilon: float) -> Callable[[np.ndarray], float]:
    def mean(counts: np.ndarray) -> float:
        right, union = _parts(counts)
        return float(np.mean(right / (union + epsilon)))

    return mean


def _parts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of each class, int64 (K,)."""
    right = np.diagonal(counts)
    return right, counts.sum(1) + counts.sum(0)[: len(counts)] - right


_MEANS: dict[str, Callable[[np.ndarray], float]] = {
    "cityscapes": _mean_of_present,
    "pytorch-enet": _without_void_predictions,
    "sssegmentation": _mean_of_present,
    "united-perception": _mean_of_all(1e-10),
    "edgeai": _mean_of_all(float(np.finfo(np.float32).eps)),
}
