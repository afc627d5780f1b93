"""Cross entropy over labelled pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.multilabel import binary_cross_entropy
from pixelwise.losses.ohem import hard_labels
from pixelwise.losses.pixels import Normalize, average, in_range, pixel_weights
from pixelwise.losses.term import MultiLabel, SingleLabel, computes
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.loss_terms.cross_entropy import CrossEntropy


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    normalize: Normalize = "valid",
    ranks: Ranks = ALONE,
) -> Tensor:
    """Cross entropy, averaged over labelled pixels with their class weights.

    Equals `F.cross_entropy(..., ignore_index=255)`, except that a batch without labelled pixels, or whose pixels all
    weigh nothing, results in 0 with zero gradients instead of NaN, and that the weight of a pixel is always that of
    its own class, with label smoothing too. (PyTorch weights the smoothed share by every other class, so pixels that
    weigh nothing have a loss, and a mean over light pixels has no bound.) The mean is at most the largest value of a
    single pixel: the difference between its largest and its smallest logit + ln K.

    Args:
        logits: (B, K, H, W).
        labels: (B, H, W) uint8 or int64, 0..K-1 or 255.
        class_weights: (K,), or None for equal weights.
        label_smoothing: Share of the target spread over all classes, 0..1.
        normalize: `valid` divides by the sum of the weights of the labelled pixels; `all` by the number of pixels,
            including ignored ones, so that an image with few labels has little weight.
        ranks: The processes that have the other images of the batch.

    Returns:
        Scalar, at least 0.
    """
    logits = at_least_float32(logits)
    targets = labels.long()
    class_weights = in_range(class_weights, normalize)
    weights = pixel_weights(targets, logits.shape[1], class_weights, logits.dtype)
    if class_weights is None or not label_smoothing:
        total = F.cross_entropy(
            logits,
            targets,
            weight=None if class_weights is None else class_weights.to(logits.dtype),
            ignore_index=IGNORE,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
    else:
        values = F.cross_entropy(
            logits, targets, ignore_index=IGNORE, label_smoothing=label_smoothing, reduction="none"
        )
        total = (weights * values).sum()
    return average(total, weights, normalize, ranks)


@computes(CrossEntropy)
def cross_entropy_term(seen: SingleLabel, term: CrossEntropy) -> Tensor:
    """Cross entropy of a head; over its hard pixels only if the term has `ohem`."""
    labels = seen.labels
    if term.ohem is not None:
        labels = hard_labels(
            seen.logits, labels, threshold=term.ohem.threshold, min_kept=term.ohem.min_kept, ranks=seen.ranks
        )
    return cross_entropy(
        seen.logits,
        labels,
        class_weights=seen.class_weights,
        label_smoothing=term.label_smoothing,
        normalize=seen.normalize,
        ranks=seen.ranks,
    )


@computes(CrossEntropy, multilabel=True)
def binary_cross_entropy_term(seen: MultiLabel, term: CrossEntropy) -> Tensor:
    """Binary cross entropy of a head."""
    return binary_cross_entropy(
        seen.logits,
        seen.targets,
        seen.valid,
        positive_weights=seen.class_weights,
        label_smoothing=term.label_smoothing,
        normalize=seen.normalize,
        ranks=seen.ranks,
    )
