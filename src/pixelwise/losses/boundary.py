"""Cross entropy along the boundaries between classes.

This is not the boundary loss of Kervadec et al. (arXiv:1812.07032), whose distance maps need a pass over every class on
the CPU, and whose value has neither a lower bound nor a scale, so that its weight needs a schedule. The cross entropy
here serves the same purpose, more weight on boundaries, at the cost of two poolings and without a schedule.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.boundary import Boundary


def boundary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    width: int = 3,
    class_weights: Tensor | None = None,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Cross entropy, averaged over the pixels near another class.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        width: Distance in rows and columns within which another class has to lie, as in `boundary_labels`.
        class_weights: (K,), or None for equal weights.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar, at least 0; 0 with zero gradients if no two classes meet.
    """
    return cross_entropy(logits, boundary_labels(labels, width), class_weights=class_weights, ranks=ranks)


@torch.no_grad()
def boundary_labels(labels: Tensor, width: int) -> Tensor:
    """The labels, with all pixels ignored that are not near another class.

    Args:
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        width: A pixel is kept if another class lies within this many rows and columns. The border of an ignored
            region is not a boundary, because the class inside it is unknown.

    Returns:
        (B, H, W), dtype of `labels`.
    """
    ignored = labels == IGNORE
    ids = labels.float()
    highest = window_maximum(ids.masked_fill(ignored, -1.0), width)
    lowest = -window_maximum((-ids).masked_fill(ignored, -256.0), width)
    return labels.masked_fill(highest == lowest, IGNORE)


def window_maximum(values: Tensor, width: int) -> Tensor:
    """Maximum over the square with a side of 2 width + 1 around each pixel; (B, H, W)."""
    side = 2 * width + 1
    rows = F.max_pool2d(values, (side, 1), stride=1, padding=(width, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, width))


@computes(Boundary)
def boundary_term(seen: SingleLabel, term: Boundary) -> Tensor:
    """Cross entropy of a head along class boundaries."""
    return boundary_cross_entropy(
        seen.logits, seen.labels, width=term.width, class_weights=seen.class_weights, ranks=seen.ranks
    )
