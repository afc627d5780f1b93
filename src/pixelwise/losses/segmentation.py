"""The total loss that the `Loss` section of a recipe describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.multilabel import expanded
from pixelwise.losses.pixels import same_size
from pixelwise.losses.term import MultiLabel, SingleLabel, function_of
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.loss_terms.cross_entropy import CrossEntropy
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.terms import Term

# Random stream of `uses_class_weights`; the streams of data order and augmentation have smaller numbers.
CLASS_WEIGHTS_STREAM = 16


class Truth(NamedTuple):
    """The ground truth of a batch.

    Attributes:
        labels: (B, H, W), 0..K-1 or 255; for multi-label data int32, bit k is class k, ignored pixels are `IGNORE_BIT`.
        classes: The classes of each image, if a term needs to know them.
        multilabel: Whether a pixel may have several classes, or none.
    """

    labels: Tensor
    classes: Sequence[Sequence[int]] | None = None
    multilabel: bool = False


def segmentation_loss(
    head_logits: Sequence[Tensor],
    truth: Tensor | Truth,
    loss: Loss,
    class_weights: Tensor | None = None,
    *,
    align_corners: bool = False,
    boundary_head: bool = False,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Loss of the main head plus the weighted cross entropy of the auxiliary heads.

    Args:
        head_logits: Main logits first, then auxiliary ones; each (B, K, h, w); last those of the boundary head,
            (B, 1, h, w), if there is one. They are resized to the labels, or the labels to them, see
            `loss.compare_at`.
        truth: Ground truth; a tensor is taken for labels with one class per pixel.
        loss: Loss section of the recipe.
        class_weights: (K,) for the terms that weight classes, see `uses_class_weights`; for multi-label data, the
            weights of the pixels that have a class.
        align_corners: Whether logits are upsampled with aligned corners, `SegmentationModel.align_corners`.
        boundary_head: Whether the last logits are those of a boundary head, `SegmentationModel.boundary_head`.
        ranks: The processes that have the other images of the batch. Every process gets the loss of the whole batch,
            with the gradient of its own images: the sum of all processes' gradients is the gradient of the loss.

    Returns:
        Scalar.

    Raises:
        RecipeError: R275, a term of the loss has no registered function.
    """
    if len(head_logits) <= boundary_head:
        raise ValueError("head_logits is empty; expected at least the main logits")
    truth = truth if isinstance(truth, Truth) else Truth(truth)
    targets: dict[torch.Size, tuple[Tensor, Tensor]] = {}
    values: list[Tensor] = []
    *of_classes, boundaries = (*head_logits,) if boundary_head else (*head_logits, None)
    for index, logits in enumerate(of_classes):
        head = _Head(at_least_float32(logits), truth, loss, class_weights, align_corners, targets, ranks)
        if index == 0:
            values.append(_of_main(head, loss, boundaries))
        else:
            values.append(loss.auxiliary * head.value(_auxiliary(loss)))
    return _added(values)


def _of_main(head: _Head, loss: Loss, boundaries: Tensor | None) -> Tensor:
    """The loss of the main head and of the boundary head, if there is one."""
    active = loss.active_terms()
    values = []
    if boundaries is not None:
        head.boundaries = at_least_float32(boundaries)
        if not any(term.needs_boundary_head for term in active):
            # Several processes expect a gradient of every parameter, be it 0.
            values.append(0 * head.boundaries.sum())
    return _added([*values, *(term.weight * head.value(term) for term in active)])


def uses_class_weights(loss: Loss, seed: int, step: int) -> bool:
    """Whether class weights are applied in this step: in `loss.class_weights_share` of all steps, drawn at random.

    The answer depends on the arguments only, so a resumed run draws the same steps as an uninterrupted one.

    Args:
        loss: Loss section of the recipe.
        seed: Seed of the recipe.
        step: Number of optimiser steps before this one.
    """
    if loss.class_weights_share >= 1:
        return True
    return np.random.default_rng([seed, CLASS_WEIGHTS_STREAM, step]).random() < loss.class_weights_share


def needs_classes(loss: Loss) -> bool:
    """Whether the loss needs to know which classes occur in each image of a batch."""
    matching = loss.matching
    if matching is not None:
        return matching.assignment == "hungarian"
    return any(term.needs_classes for term in loss.active_terms())


class _Head:
    """The inputs of the loss terms for one head, computed on first use.

    Args:
        logits: (B, K, h, w).
        truth: Ground truth of the batch.
        loss: Loss section of the recipe.
        class_weights: (K,), or None for equal weights.
        align_corners: Whether logits are upsampled with aligned corners.
        targets: Cache shared by all heads: size of the labels -> `expanded` bit fields.
        ranks: The processes that have the other images of the batch.

    Attributes:
        boundaries: (B, 1, h, w), logits of the boundary head, for the main head; None if there are none.
    """

    def __init__(
        self,
        logits: Tensor,
        truth: Truth,
        loss: Loss,
        class_weights: Tensor | None,
        align_corners: bool,
        targets: dict[torch.Size, tuple[Tensor, Tensor]],
        ranks: Ranks,
    ) -> None:
        self._logits, self._truth, self._loss = logits, truth, loss
        self._class_weights, self._align_corners, self._targets = class_weights, align_corners, targets
        self._ranks = ranks
        self.boundaries: Tensor | None = None
        self._inputs: dict[str, SingleLabel | MultiLabel] = {}

    def value(self, term: Term) -> Tensor:
        """The value of a term for this head, without its weight."""
        compare_at = "labels" if term.full_size else self._loss.compare_at
        if compare_at not in self._inputs:
            self._inputs[compare_at] = self._inputs_at(compare_at)
        return function_of(term, multilabel=self._truth.multilabel)(self._inputs[compare_at], term)

    def _inputs_at(self, compare_at: Literal["labels", "logits"]) -> SingleLabel | MultiLabel:
        truth, loss = self._truth, self._loss
        logits, labels = same_size(self._logits, truth.labels, compare_at, align_corners=self._align_corners)
        if not truth.multilabel:
            # Labels that were reduced in size may have lost a class.
            classes = truth.classes if labels is truth.labels else None
            boundaries = self.boundaries
            if boundaries is not None:
                boundaries, _ = same_size(boundaries, labels, "labels", align_corners=self._align_corners)
            return SingleLabel(logits, labels, self._class_weights, loss.normalize, classes, self._ranks, boundaries)
        if labels.shape not in self._targets:
            self._targets[labels.shape] = expanded(labels, logits.shape[1])
        expanded_labels = self._targets[labels.shape]
        return MultiLabel(logits, *expanded_labels, self._class_weights, loss.normalize, self._ranks)


def _auxiliary(loss: Loss) -> CrossEntropy:
    """The cross entropy of auxiliary heads, which is used whatever its weight in the main head."""
    term = loss.all_terms()["loss.cross_entropy"]
    if not isinstance(term, CrossEntropy):
        raise TypeError(f"loss.cross_entropy is a {type(term).__name__}; expected a CrossEntropy")
    mined = term.ohem is not None and term.ohem.auxiliary
    return term if mined else msgspec.structs.replace(term, ohem=None)


def _added(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
