"""Cross entropy along the boundaries between classes.

Not the boundary loss of Kervadec et al. (arXiv:1812.07032): its distance maps take a pass over every class on the
CPU and its value has neither a lower bound nor a scale, so its weight needs a schedule. What it is used for, more
weight on outlines, costs two poolings here and needs neither.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.recipes.terms.boundary import Boundary


def boundary_cross_entropy(
    logits: Tensor, labels: Tensor, *, width: int = 3, class_weights: Tensor | None = None
) -> Tensor:
    """Cross entropy, averaged over the pixels near another class.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        width: As for `boundary_labels`.
        class_weights: (K,), or None for equal weights.

    Returns:
        Scalar, at least 0; 0 with zero gradients when no two classes meet.
    """
    return cross_entropy(logits, boundary_labels(labels, width), class_weights=class_weights)


@torch.no_grad()
def boundary_labels(labels: Tensor, width: int) -> Tensor:
    """The labels with everything ignored that is not near another class.

    Args:
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        width: A pixel stays if another class lies within this many rows and columns. The border of an ignored
            region is no boundary: what lies behind it is unknown.

    Returns:
        (B, H, W), the labels' dtype.
    """
    ignored = labels == IGNORE
    ids = labels.float()
    highest = _window_maximum(ids.masked_fill(ignored, -1.0), width)
    lowest = -_window_maximum((-ids).masked_fill(ignored, -256.0), width)
    return labels.masked_fill(highest == lowest, IGNORE)


def _window_maximum(values: Tensor, width: int) -> Tensor:
    """Maximum over a square of 2 width + 1 pixels around each; (B, H, W)."""
    side = 2 * width + 1
    rows = F.max_pool2d(values, (side, 1), stride=1, padding=(width, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, width))


@computes(Boundary)
def boundary_term(seen: SingleLabel, term: Boundary) -> Tensor:
    """Cross entropy of a head along boundaries."""
    return boundary_cross_entropy(seen.logits, seen.labels, width=term.width, class_weights=seen.class_weights)
