"""Loss of a boundary head: whether another class is near, learned from the labels themselves.

The targets of PIDNet's authors are Canny edges of the whole label map, dilated to a width of four pixels. At straight
edges these are the pixels with another class within two rows or columns, which are computed here on the device, from
the labels as augmented. (On 46 label maps of CamVid at 480x360, ignored regions aside, the IoU of the two is 0.90.)
Unlike there, the border of an ignored region is no boundary: what lies inside is unknown.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.boundary import boundary_labels, window_maximum
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.boundary_head import BoundaryHead


@torch.no_grad()
def boundary_targets(labels: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Where boundaries are, and where the labels tell.

    Args:
        labels: (B, H, W) uint8 or int64, 0..254 or 255 (ignored).
        width: A pixel is near a boundary if another class lies within this many rows and columns.

    Returns:
        bool (B, H, W) each: the labelled pixels near a boundary; these, and the labelled pixels that have no ignored
        pixel within the width.
    """
    near = boundary_labels(labels, width) != IGNORE
    near_ignored = window_maximum((labels == IGNORE).float(), width) > 0
    return near, near | ~near_ignored


def balanced_boundary_loss(logits: Tensor, labels: Tensor, *, width: int = 2, ranks: Ranks = ALONE) -> Tensor:
    """Binary cross entropy in which the pixels near boundaries together weigh as much as all others together.

    A pixel near a boundary weighs the share of the others among the pixels that count, another one the share of those
    near a boundary; the sum is divided by the number of pixels that count.

    Args:
        logits: (B, H, W), above 0 where a boundary is predicted.
        labels: (B, H, W) uint8 or int64, 0..254 or 255 (ignored).
        width: As in `boundary_targets`.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar, at least 0; 0 with zero gradients if no pixel is near a boundary, or all are.

    Reference:
        Xu et al., CVPR 2023, arXiv:2206.02066; the weights are those of Xie and Tu, arXiv:1504.06375.
    """
    logits = at_least_float32(logits)
    near, known = boundary_targets(labels, width)
    positive = ranks.sum(near.sum(dtype=logits.dtype))
    total = ranks.sum(known.sum(dtype=logits.dtype)).clamp(min=1)
    weights = torch.where(near, 1 - positive / total, known * (positive / total))
    value = F.binary_cross_entropy_with_logits(logits, near.to(logits.dtype), weights, reduction="sum")
    return ranks.sum(value) / total


@computes(BoundaryHead)
def boundary_head_term(seen: SingleLabel, term: BoundaryHead) -> Tensor:
    """Balanced binary cross entropy of the boundary head."""
    return balanced_boundary_loss(seen.boundary_logits(), seen.labels, width=term.width, ranks=seen.ranks)
