"""The best class of each pixel, without PyTorch."""

from __future__ import annotations

import numpy as np


def first_of_best(values: np.ndarray) -> np.ndarray:
    """`values.argmax(0)` of (K, h, w), class by class: each step is one vectorised operation.

    Args:
        values: Any floating-point type.

    Returns:
        (h, w) the first of the best classes of each pixel, uint8 up to 256 classes, otherwise int64.
    """
    kind = np.uint8 if len(values) <= 256 else np.int64
    best, ids = values[0].copy(), np.zeros(values.shape[1:], kind)
    ahead, update = np.empty(ids.shape, np.bool_), np.empty(ids.shape, kind)
    for class_id in range(1, len(values)):
        np.greater(values[class_id], best, out=ahead)
        # Class ids increase, so the maximum is the class that was ahead last; uint8 products are faster than a mask.
        np.multiply(ahead.view(np.uint8), kind(class_id), out=update)
        np.maximum(ids, update, out=ids)
        np.maximum(best, values[class_id], out=best)
    return ids
