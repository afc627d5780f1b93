"""Cross entropy over the pixels where a boundary head finds a boundary."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.losses.cross_entropy import cross_entropy_term
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.boundary_aware import BoundaryAware
from pixelwise.recipes.loss_terms.cross_entropy import CrossEntropy


@torch.no_grad()
def labels_at_boundaries(boundary_logits: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """The labels, with all pixels ignored where the boundary head's score is not above the threshold.

    Args:
        boundary_logits: (B, H, W); the score is their sigmoid.
        labels: (B, H, W) uint8 or int64, 0..254 or 255 (ignored).
        threshold: Score, 0..1.

    Returns:
        (B, H, W), dtype of `labels`.
    """
    # No comparison with NaN is true, so a pixel with NaN is kept and the training step is recognised as broken.
    return labels.masked_fill(torch.sigmoid(boundary_logits) <= threshold, IGNORE)


@computes(BoundaryAware)
def boundary_aware_term(seen: SingleLabel, term: BoundaryAware) -> Tensor:
    """Cross entropy of the main head at boundaries, as the boundary head sees them; no gradient reaches that head."""
    labels = labels_at_boundaries(seen.boundary_logits(), seen.labels, term.threshold)
    return cross_entropy_term(seen._replace(labels=labels), CrossEntropy(ohem=term.ohem))
