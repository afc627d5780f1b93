"""The loss of a recipe: what `Loss` describes, as one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from pixelwise.losses.boundary import boundary_cross_entropy
from pixelwise.losses.cross_entropy import cross_entropy
from pixelwise.losses.dice import soft_dice
from pixelwise.losses.focal import focal
from pixelwise.losses.lovasz import lovasz_softmax
from pixelwise.losses.ohem import hard_labels
from pixelwise.losses.pixels import at_least_float32, same_size
from pixelwise.losses.tversky import tversky
from pixelwise.recipes.schema.recipe import Loss

# The random stream of `uses_class_weights`; those of the data order and of augmentation have smaller numbers.
CLASS_WEIGHTS_STREAM = 16


def segmentation_loss(
    head_logits: Sequence[Tensor],
    labels: Tensor,
    loss: Loss,
    class_weights: Tensor | None = None,
    *,
    align_corners: bool = False,
    classes: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Loss of the main head plus the weighted cross entropy of the auxiliary ones.

    Args:
        head_logits: Main logits first, then auxiliary ones; each (B, K, h, w), brought to the labels' size here, or
            the labels to theirs, see `loss.compare_at`.
        labels: (B, H, W), 0..K-1 or 255.
        loss: The recipe's section.
        class_weights: (K,) for the cross entropy, focal and boundary terms; see `uses_class_weights`.
        align_corners: The model's, for the upsampling.
        classes: See `lovasz_softmax`.

    Returns:
        Scalar.
    """
    values: list[Tensor] = []
    for index, logits in enumerate(head_logits):
        logits, targets = same_size(at_least_float32(logits), labels, loss.compare_at, align_corners=align_corners)
        if index == 0:
            # Labels that were made smaller may have lost a class.
            known = classes if targets is labels else None
            values.append(_main_loss(logits, targets, loss, class_weights, known))
        else:
            mined = loss.ohem is not None and loss.ohem.auxiliary
            values.append(loss.auxiliary * _cross_entropy(logits, targets, loss, class_weights, mined))
    if not values:
        raise ValueError("head_logits is empty; expected the main logits at least")
    return _added(values)


def uses_class_weights(loss: Loss, seed: int, step: int) -> bool:
    """Whether the class weights count in this step: `loss.class_weights_share` of all steps, drawn at random.

    Args:
        loss: The recipe's section.
        seed: The recipe's.
        step: Optimizer steps before this one.

    Returns:
        The same for the same arguments, so a resumed run draws what an uninterrupted one draws.
    """
    if loss.class_weights_share >= 1:
        return True
    return np.random.default_rng([seed, CLASS_WEIGHTS_STREAM, step]).random() < loss.class_weights_share


def _main_loss(
    logits: Tensor,
    labels: Tensor,
    loss: Loss,
    class_weights: Tensor | None,
    classes: Sequence[Sequence[int]] | None,
) -> Tensor:
    """All terms of the main head, each with its weight."""
    terms: list[Tensor] = []
    if loss.cross_entropy:
        terms.append(
            loss.cross_entropy * _cross_entropy(logits, labels, loss, class_weights, mined=loss.ohem is not None)
        )
    if loss.dice:
        terms.append(loss.dice * soft_dice(logits, labels))
    if loss.focal:
        value = focal(logits, labels, gamma=loss.focal_gamma, class_weights=class_weights, normalize=loss.normalize)
        terms.append(loss.focal * value)
    if loss.tversky:
        terms.append(loss.tversky * tversky(logits, labels, alpha=loss.tversky_alpha, beta=loss.tversky_beta))
    if loss.lovasz:
        value = lovasz_softmax(logits, labels, per_image=loss.lovasz_per_image, classes=classes)
        terms.append(loss.lovasz * value)
    if loss.boundary:
        value = boundary_cross_entropy(logits, labels, width=loss.boundary_width, class_weights=class_weights)
        terms.append(loss.boundary * value)
    return _added(terms)


def _added(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _cross_entropy(logits: Tensor, labels: Tensor, loss: Loss, class_weights: Tensor | None, mined: bool) -> Tensor:
    """Cross entropy of one head, over its hard pixels if `mined`."""
    if mined and loss.ohem is not None:
        labels = hard_labels(logits, labels, threshold=loss.ohem.threshold, min_kept=loss.ohem.min_kept)
    return cross_entropy(
        logits,
        labels,
        class_weights=class_weights,
        label_smoothing=loss.label_smoothing,
        normalize=loss.normalize,
    )
