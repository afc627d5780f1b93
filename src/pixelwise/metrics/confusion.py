"""Confusion matrix of class ids: exact integers, counted from uint8 without a boolean mask.

Neighbouring pixels mostly have the same label and the same prediction, so on a CPU runs of equal pairs are
counted instead of pixels: comparing each pair with the next one is vectorised, incrementing counters is not.
If long runs are rare, and on a GPU, which counts in parallel, every pixel is counted, with ignored pixels in
an extra row that is cut off afterwards. Such a `bincount` over an int16 index takes a quarter of the time of
masking and counting int64.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from pixelwise.recipes.class_sets.tables import IGNORE

_BAND = 1 << 20
_LONG_RUNS = 10
"""Average length of a run in pixels from which counting runs is faster than counting pixels."""


def confusion_matrix(
    labels: Tensor | np.ndarray,
    prediction: Tensor | np.ndarray,
    num_classes: int,
    ignore: int = IGNORE,
    void_prediction: Literal["miss", "ignore"] | None = None,
) -> Tensor:
    """Count the pixels of each pair of labelled and predicted class.

    Args:
        labels: Class ids of the ground truth, any shape and integer type (uint8 is fastest), 0..K-1 or `ignore`.
        prediction: Predicted class ids of the same shape, 0..K-1. A pixel that is ignored in `labels` is not
            counted, whatever its prediction.
        num_classes: Number of classes K.
        ignore: Label value of ignored pixels.
        void_prediction: Treatment of labelled pixels whose prediction is `ignore`, which occur in masks from other
            software: `miss` counts them as misses of their class, as in the Cityscapes scripts; `ignore` does not
            count them; None raises an error, as for any other value outside 0..K-1.

    Returns:
        (K, K) int64 on the device of `labels`; rows are the ground truth, columns the prediction. With
        `void_prediction="miss"`, (K, K + 1): the last column counts the pixels that were predicted as void.

    Raises:
        ValueError: Shapes differ, values are not integers, or a value is outside its range; no pixel is ever
            counted in a wrong cell.
    """
    labels, prediction = torch.as_tensor(labels), torch.as_tensor(prediction)
    _check_kind(labels, prediction)
    labels, prediction = (_holding(values, num_classes, ignore) for values in (labels, prediction))
    if void_prediction is not None:
        return _with_void(labels, prediction, num_classes, ignore, void_prediction)
    K = num_classes
    pairs = _pairs_by_runs(labels, prediction)
    if pairs is not None and not _misplaced(pairs, K, ignore):
        counts = pairs[:K, :K].clone()
        if 0 <= ignore < K:
            counts[ignore] = 0
        return counts
    rows = _rows(labels, K, ignore)
    if prediction.numel() and (int(prediction.max()) >= K or int(prediction.min()) < 0):
        wrong = prediction[(prediction >= K) | (prediction < 0)]
        raise ValueError(f"prediction contains {_values(wrong)}; expected 0..{K - 1}")

    # (K + 1) * K cells: int16 holds them up to 180 classes and halves the memory traffic.
    fits = torch.iinfo(torch.int16).max >= (K + 1) * K
    index_type = torch.int16 if fits else torch.int64
    index = rows.to(index_type, copy=True).mul_(K).add_(prediction.to(index_type))
    return torch.bincount(index.flatten(), minlength=(K + 1) * K).view(K + 1, K)[1:]


def _holding(values: Tensor, num_classes: int, ignore: int) -> Tensor:
    """The values in a dtype that can hold K and `ignore`: PyTorch would wrap a number that the dtype cannot hold."""
    held = torch.iinfo(values.dtype)
    return values if held.min <= ignore <= held.max and num_classes <= held.max else values.long()


def _with_void(labels: Tensor, prediction: Tensor, num_classes: int, ignore: int, void_prediction: str) -> Tensor:
    void = prediction == ignore
    if void_prediction == "ignore":
        kept = torch.where(void, torch.full_like(labels, ignore), labels)
        return confusion_matrix(kept, torch.where(void, torch.zeros_like(prediction), prediction), num_classes, ignore)
    if void_prediction != "miss":
        raise ValueError(f"void_prediction is '{void_prediction}'; expected 'miss' or 'ignore'")
    # Void is counted as an additional class after the others; no label has it, so its row stays empty.
    K = num_classes
    if bool((labels == K).any()) and ignore != K:
        raise ValueError(f"labels contain {_values(labels[labels == K])}; expected 0..{K - 1} or {ignore} (ignored)")
    if bool((prediction == K).any()) and ignore != K:
        raise ValueError(f"prediction contains {_values(prediction[prediction == K])}; expected 0..{K - 1} or {ignore}")
    moved = torch.where(void, torch.full_like(prediction, K), prediction)
    return confusion_matrix(labels, moved, K + 1, ignore)[:K]


def _pairs_by_runs(labels: Tensor, prediction: Tensor) -> Tensor | None:
    """(256, 256) int64, pixels of each pair of label and prediction; None if counting pixels is faster or necessary."""
    if not all(values.dtype == torch.uint8 and values.device.type == "cpu" for values in (labels, prediction)):
        return None
    truth, guess = labels.reshape(-1).numpy(), prediction.reshape(-1).numpy()
    counts = np.zeros(1 << 16, np.int64)
    for start in range(0, len(truth), _BAND):
        # Label and prediction of a pixel, side by side in memory, are read as one uint16.
        pairs = cv2.merge([guess[start : start + _BAND], truth[start : start + _BAND]]).view("<u2").reshape(-1)
        ends = pairs[1:] != pairs[:-1]
        if np.count_nonzero(ends) * _LONG_RUNS > len(pairs):
            return None
        last = np.append(np.flatnonzero(ends), len(pairs) - 1)
        # `bincount` with weights adds in float64, which is exact up to 2^53.
        counts += np.bincount(pairs[last], np.diff(last, prepend=-1), minlength=1 << 16).astype(np.int64)
    return torch.from_numpy(counts.reshape(256, 256))


def _misplaced(pairs: Tensor, num_classes: int, ignore: int) -> bool:
    """Whether there are labels other than 0..K-1 and `ignore`, or predictions of K and above."""
    strange = pairs[num_classes:].sum(1)
    if num_classes <= ignore < 256:
        strange[ignore - num_classes] = 0
    return bool(strange.any()) or bool(pairs[:, num_classes:].any())


def _rows(labels: Tensor, num_classes: int, ignore: int) -> Tensor:
    """Row of each pixel: 0 for ignored pixels, class id + 1 for the others."""
    if ignore == 255 and labels.numel() and int(labels.min()) >= 0 and int(labels.max()) <= 255:
        labels = labels.to(torch.uint8)
    if ignore == 255 and labels.dtype == torch.uint8:
        rows = labels + 1  # uint8 wraps around: 255 becomes 0
        valid = not rows.numel() or int(rows.max()) <= num_classes
    else:
        rows = torch.where(labels == ignore, 0, labels.long() + 1)
        valid = not _outside(labels, num_classes, ignore).any()
    if not valid:
        wrong = labels[_outside(labels, num_classes, ignore)]
        raise ValueError(f"labels contain {_values(wrong)}; expected 0..{num_classes - 1} or {ignore} (ignored)")
    return rows


def _outside(labels: Tensor, num_classes: int, ignore: int) -> Tensor:
    return ((labels >= num_classes) | (labels < 0)) & (labels != ignore)


def _check_kind(labels: Tensor, prediction: Tensor) -> None:
    if labels.shape != prediction.shape:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but the prediction has shape {tuple(prediction.shape)}; "
            "resize one of them to the size of the other"
        )
    for name, values in (("labels", labels), ("prediction", prediction)):
        if values.is_floating_point() or values.dtype == torch.bool:
            raise ValueError(f"{name}: dtype is {values.dtype}; expected integer class ids")


def _values(wrong: Tensor) -> str:
    """The first five wrong values with their pixel counts: `19 (2 px), 33 (7 px)`."""
    values, counts = torch.unique(wrong, return_counts=True)
    pairs = list(zip(values.tolist(), counts.tolist(), strict=True))
    text = ", ".join(f"{value} ({count} px)" for value, count in pairs[:5])
    return text if len(pairs) <= 5 else f"{text} and {len(pairs) - 5} more values"
