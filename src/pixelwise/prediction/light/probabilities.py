"""Probabilities of the classes from the outputs of a network; `pixelwise.models.probabilities` for arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np

NOTHING = 1e-12
"""Sums of scores below this do not divide."""


def probabilities(
    outputs: np.ndarray, scores: Literal["logits", "probabilities"], *, multilabel: bool = False
) -> np.ndarray:
    """Probabilities float32 (K, ...), 0..1.

    Args:
        outputs: Outputs of a network (K, ...), or their averages or interpolations.
        scores: Meaning of the outputs.
        multilabel: Whether each class has a probability of its own; for logits only.
    """
    values = outputs.astype(np.float32, copy=False)
    if scores == "probabilities":
        return values / np.maximum(values.sum(0, keepdims=True), np.float32(NOTHING))
    if multilabel:
        # Of two forms, the one whose exponent is not above 0, so that nothing overflows.
        small = np.exp(-abs(values))
        return np.where(values >= 0, np.float32(1), small) / (np.float32(1) + small)
    powers = np.exp(values - values.max(0, keepdims=True))
    return powers / powers.sum(0, keepdims=True)
