"""Lovász-softmax loss: a direct surrogate of the mean intersection over union."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.pixels import labelled_classes
from pixelwise.losses.term import SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.lovasz import Lovasz


def lovasz_softmax(
    logits: Tensor,
    labels: Tensor,
    *,
    per_image: bool = False,
    classes: Sequence[Sequence[int]] | None = None,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Mean over present classes of the Lovász extension of the Jaccard loss, 1 - IoU.

    If all probabilities are 0 or 1, it equals 1 - mean IoU over the labelled classes.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255 (ignored).
        per_image: Whether to average the loss of each image over the images with labels, instead of treating the
            batch as one image.
        classes: `labelled_classes(labels)`, computed where the labels are still on the CPU: sorting for absent
            classes would cost more than everything else. None: the labels are copied from the device, which
            synchronises with a GPU.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar in 0..1; 0 with zero gradients if every pixel is ignored.

    Reference:
        Berman et al., CVPR 2018, arXiv:1705.08790, algorithm 1.
    """
    probabilities = at_least_float32(logits).softmax(1)
    if classes is None:
        classes = labelled_classes(labels.cpu())
    if per_image:
        labelled = ranks.count(sum(bool(one) for one in classes))
        slopes, constant = _linear_pieces(probabilities.detach(), labels, classes, labelled)
        return ranks.sum((probabilities * slopes).sum() + constant)
    # The order of all pixels' errors decides, so every process sorts those of all.
    lengths, present = _of_all(classes, ranks)
    seen, own = ranks.gather(probabilities, lengths)
    truth, _ = ranks.gather(labels, lengths)
    slopes, constant = _linear_pieces(seen, truth, [present], 1)
    return ranks.sum((probabilities * slopes[own]).sum()) + constant


def _of_all(classes: Sequence[Sequence[int]], ranks: Ranks) -> tuple[list[int], list[int]]:
    """The number of images of each process, and the classes of all images in ascending order, in one message."""
    own = set().union(*classes)
    images = [len(classes) if rank == ranks.rank else 0 for rank in range(ranks.world)]
    found = ranks.agree([*images, *(int(class_id in own) for class_id in range(IGNORE))])
    return found[: ranks.world], [class_id for class_id, any_has in enumerate(found[ranks.world :]) if any_has]


def _linear_pieces(
    probabilities: Tensor, labels: Tensor, groups: Sequence[Sequence[int]], labelled: int
) -> tuple[Tensor, Tensor]:
    """The loss near `probabilities`, where it is linear, as slopes (B, K, H, W) and a constant.

    Autograd then stores only the slopes, not a sorted order of 8 bytes per pixel for every class. `groups` has the
    classes of each image, or a single list for the batch as one image; `labelled` of all groups, those of other
    processes too, have any.
    """
    slopes = torch.zeros_like(probabilities)
    constant = probabilities.new_zeros(())
    for group, classes in enumerate(groups):
        images = slice(group, group + 1) if len(groups) > 1 else slice(None)
        valid = labels[images] != IGNORE
        for class_id in classes:
            truth = labels[images] == class_id
            errors = torch.where(truth, 1 - probabilities[images, class_id], probabilities[images, class_id])
            weights = _error_weights(errors.flatten(), truth.flatten(), valid.flatten()).view_as(errors)
            weights /= labelled * len(classes)
            # The error is 1 - p for pixels of the class and p for the others.
            slopes[images, class_id] = torch.where(truth, -weights, weights)
            constant += (weights * truth).sum()
    return slopes, constant


def _error_weights(errors: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """The increase of the Jaccard loss by each pixel's error, once all larger errors are counted; all (N,).

    If the i largest errors are counted as wrong pixels, the intersection is I = labelled - class pixels among them,
    the union U = labelled + other pixels among them. The i-th pixel adds 1 / U if it is of the class, otherwise
    I / (U - 1) - I / U. In this form, no digits cancel in large images.
    """
    # Ignored pixels come last.
    order = errors.masked_fill(~valid, -1.0).argsort(descending=True, stable=True)
    truth = truth[order]
    counted = truth.cumsum(0)
    labelled = counted[-1]
    intersection = (labelled - counted).to(errors.dtype)
    position = torch.arange(1, len(order) + 1, device=order.device)
    union = (labelled + position - counted).to(errors.dtype)
    gains = torch.where(truth, 1 / union, intersection / (union * (union - 1)))
    weights = torch.empty_like(errors)
    weights[order] = gains
    return weights.masked_fill(~valid, 0.0)


@computes(Lovasz)
def lovasz_term(seen: SingleLabel, term: Lovasz) -> Tensor:
    """Lovász-softmax loss of a head."""
    return lovasz_softmax(seen.logits, seen.labels, per_image=term.per_image, classes=seen.classes, ranks=seen.ranks)
