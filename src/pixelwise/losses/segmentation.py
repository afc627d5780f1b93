"""The loss of a recipe: what `Loss` describes, as one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.losses.multilabel import expanded
from pixelwise.losses.pixels import at_least_float32, same_size
from pixelwise.losses.term import MultiLabel, SingleLabel, function_of
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.terms import Term
from pixelwise.recipes.terms.cross_entropy import CrossEntropy

# The random stream of `uses_class_weights`; those of the data order and of augmentation have smaller numbers.
CLASS_WEIGHTS_STREAM = 16


class Truth(NamedTuple):
    """What a batch is compared with.

    Attributes:
        labels: (B, H, W): 0..K-1 or 255; of multi-label data int32, bit k is class k, `IGNORE_BIT` alone where ignored.
        classes: The classes of each image, where a term needs to know them.
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
) -> Tensor:
    """Loss of the main head plus the weighted cross entropy of the auxiliary ones.

    Args:
        head_logits: Main logits first, then auxiliary ones; each (B, K, h, w), brought to the labels' size here, or
            the labels to theirs, see `loss.compare_at`.
        truth: What they are compared with; labels alone have one class per pixel.
        loss: The recipe's section.
        class_weights: (K,) for the terms that weigh classes; see `uses_class_weights`. Of multi-label data the weights
            of the pixels that have a class.
        align_corners: The model's, for the upsampling.

    Returns:
        Scalar.

    Raises:
        RecipeError: R275, nothing computes a term of the loss.
    """
    if not head_logits:
        raise ValueError("head_logits is empty; expected the main logits at least")
    truth = truth if isinstance(truth, Truth) else Truth(truth)
    targets: dict[torch.Size, tuple[Tensor, Tensor]] = {}
    values: list[Tensor] = []
    for index, logits in enumerate(head_logits):
        head = _Head(at_least_float32(logits), truth, loss, class_weights, align_corners, targets)
        if index == 0:
            values.append(_added([term.weight * head.value(term) for term in loss.active_terms()]))
        else:
            values.append(loss.auxiliary * head.value(_auxiliary(loss)))
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


def needs_classes(loss: Loss) -> bool:
    """Whether a term needs to know which classes each image of a batch holds."""
    return any(term.needs_classes for term in loss.active_terms())


class _Head:
    """What the terms see of one head, made when the first of them looks.

    Args:
        logits: (B, K, h, w).
        truth: What they are compared with.
        loss: The recipe's section.
        class_weights: (K,), or None.
        align_corners: The model's, for the upsampling.
        targets: Bit fields by the size of the labels, as truth values; shared by all heads.
    """

    def __init__(
        self,
        logits: Tensor,
        truth: Truth,
        loss: Loss,
        class_weights: Tensor | None,
        align_corners: bool,
        targets: dict[torch.Size, tuple[Tensor, Tensor]],
    ) -> None:
        self._logits, self._truth, self._loss = logits, truth, loss
        self._class_weights, self._align_corners, self._targets = class_weights, align_corners, targets
        self._seen: dict[str, SingleLabel | MultiLabel] = {}

    def value(self, term: Term) -> Tensor:
        """A term of this head, without its weight."""
        compare_at = "labels" if term.full_size else self._loss.compare_at
        if compare_at not in self._seen:
            self._seen[compare_at] = self._look(compare_at)
        return function_of(term, multilabel=self._truth.multilabel)(self._seen[compare_at], term)

    def _look(self, compare_at: Literal["labels", "logits"]) -> SingleLabel | MultiLabel:
        truth, loss = self._truth, self._loss
        logits, labels = same_size(self._logits, truth.labels, compare_at, align_corners=self._align_corners)
        if not truth.multilabel:
            # Labels that were made smaller may have lost a class.
            classes = truth.classes if labels is truth.labels else None
            return SingleLabel(logits, labels, self._class_weights, loss.normalize, classes)
        if labels.shape not in self._targets:
            self._targets[labels.shape] = expanded(labels, logits.shape[1])
        return MultiLabel(logits, *self._targets[labels.shape], self._class_weights, loss.normalize)


def _auxiliary(loss: Loss) -> CrossEntropy:
    """The cross entropy of auxiliary heads, which have it whatever its weight in the main head."""
    term = loss.all_terms()["loss.cross_entropy"]
    if not isinstance(term, CrossEntropy):
        raise TypeError(f"loss.cross_entropy is a {type(term).__name__}")
    mined = term.ohem is not None and term.ohem.auxiliary
    return term if mined else msgspec.structs.replace(term, ohem=None)


def _added(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
