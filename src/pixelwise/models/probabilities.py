"""Probabilities of the classes from the outputs of a network, whatever these are."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Scores = Literal["logits", "probabilities"]
"""Meaning of a network's outputs, see `SegmentationModel.scores`."""
NOTHING = 1e-12
"""Sums of scores below this do not divide: a pixel that no mask covers has a probability of almost 0 everywhere."""


def probabilities(outputs: Tensor, scores: Scores, *, multilabel: bool = False, dim: int = 0) -> Tensor:
    """Probabilities of the classes.

    Args:
        outputs: Outputs of a network, or their averages or interpolations; classes along `dim`.
        scores: Meaning of the outputs.
        multilabel: Whether each class has a probability of its own; for logits only.
        dim: Dimension of the classes.

    Returns:
        As `outputs`, in 0..1: softmax or sigmoid of logits, parts of their sum of other scores.
    """
    if scores == "probabilities":
        return outputs / outputs.sum(dim, keepdim=True).clamp(min=NOTHING)
    return outputs.sigmoid() if multilabel else outputs.softmax(dim)


def semantic_scores(masks: Tensor, classes: Tensor) -> Tensor:
    """The scores of classes from logits of masks (B, Q, h, w) and of classes (B, Q, K + 1): (B, K, h, w), 0 or more."""
    return torch.einsum("bqk,bqhw->bkhw", classes.softmax(-1)[..., :-1], masks.sigmoid())
