"""Contract check for loss terms."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.losses.segmentation import Truth, segmentation_loss
from pixelwise.losses.term import function_of
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.terms import TERMS, Term

CLASSES = 4


def check_term(term: str | Term) -> None:
    """Check that a loss term fulfils its contract, for every kind of labels that it supports.

    Its value is a finite scalar and reproducible; its gradient is finite, not 0 everywhere, and 0 at ignored pixels;
    for a batch without any labelled pixel value and gradient are 0; bfloat16 logits give a float32 loss; and it reads
    nothing back from the device, which would block until the GPU has finished.

    Args:
        term: The term, or the name of one to check with its default options.

    Raises:
        AssertionError: The term breaks the contract; the message says where.
    """
    chosen = TERMS.find(term)() if isinstance(term, str) else term
    _require(
        chosen.weight > 0,
        f"{chosen.name}: its weight is {chosen.weight}; expected more than 0, or the term has no effect",
    )
    _require(
        chosen.single_label or chosen.multi_label,
        f"{chosen.name}: it supports no kind of labels; set single_label or multi_label",
    )
    for multilabel in (False, True):
        if chosen.multi_label if multilabel else chosen.single_label:
            _check_labels(chosen, multilabel=multilabel)


def _check_labels(term: Term, *, multilabel: bool) -> None:
    name = f"{term.name} for {'multi-label data' if multilabel else 'one class per pixel'}"
    try:
        function_of(term, multilabel=multilabel)
    except RecipeError as error:
        raise AssertionError(f"{name}: {error.message}") from error
    logits, labels = _example(multilabel)
    value, gradient = _value_and_gradient(term, logits, labels, multilabel)
    _require(value.isfinite(), f"{name}: its value is {value.item()}; expected a finite one")
    _require(gradient.isfinite().all(), f"{name}: its gradient is not finite")
    _require(bool(gradient.any()), f"{name}: its gradient is 0 everywhere")
    ignored = labels == _void(multilabel)
    _require(not gradient.movedim(1, -1)[ignored].any(), f"{name}: its gradient is not 0 at ignored pixels")
    again, _ = _value_and_gradient(term, logits, labels, multilabel)
    _require(
        torch.equal(value, again),
        f"{name}: its value is {value.item()}, but {again.item()} when it is computed a second time",
    )
    value, gradient = _value_and_gradient(term, logits, torch.full_like(labels, _void(multilabel)), multilabel)
    _require(value == 0, f"{name}: its value for a batch without labels is {value.item()}; expected 0")
    _require(not gradient.any(), f"{name}: its gradient for a batch without labels is not 0")
    value, _ = _value_and_gradient(term, logits.to(torch.bfloat16), labels, multilabel)
    _require(value.dtype == torch.float32, f"{name}: its value for bfloat16 logits is {value.dtype}; expected float32")
    _check_waiting(term, name, multilabel)


def _check_waiting(term: Term, name: str, multilabel: bool) -> None:
    """Check on the `meta` device, where tensors have no values, that nothing is read back."""
    logits, labels = (tensor.to("meta") for tensor in _example(multilabel))
    try:
        _value_and_gradient(term, logits.detach(), labels, multilabel)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise AssertionError(f"{name}: it reads a value back from the device, or mixes devices: {reason}") from error


def _example(multilabel: bool) -> tuple[Tensor, Tensor]:
    """Logits (2, 4, 6, 7); labels in which one class is absent, some pixels are ignored, and some far from others."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, CLASSES, 6, 7, generator=random)
    most, kind = (1 << (CLASSES - 1), torch.int32) if multilabel else (CLASSES - 1, torch.uint8)
    labels = torch.randint(0, most, (2, 6, 7), generator=random).to(kind)
    labels[0, :2] = _void(multilabel)
    labels[1, :, 3:] = 1
    return logits, labels


def _void(multilabel: bool) -> int:
    return IGNORE_BIT if multilabel else IGNORE


def _value_and_gradient(term: Term, logits: Tensor, labels: Tensor, multilabel: bool) -> tuple[Tensor, Tensor]:
    """Value and gradient of the term alone, computed as for the main head in training."""
    leaf = logits.clone().requires_grad_()
    # As the data loader provides them, because tensors on the `meta` device have no values to find classes in.
    classes = [[0, 1, 2], [0, 1, 2]] if term.needs_classes and not multilabel else None
    loss = Loss(cross_entropy=0, terms={term.name: term}) if _is_table(term) else _with_field(term)
    weights = torch.ones(CLASSES, device=leaf.device)
    # The first class stands for the boundary head.
    boundary_head = term.needs_boundary_head
    heads = (leaf, leaf[:, :1]) if boundary_head else (leaf,)
    value = segmentation_loss(heads, Truth(labels, classes, multilabel), loss, weights, boundary_head=boundary_head)
    _require(value.shape == (), f"{term.name}: its shape is {tuple(value.shape)}; expected a scalar")
    value.backward()
    gradient = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
    return value.detach(), gradient


def _is_table(term: Term) -> bool:
    return term.name not in Loss.__struct_fields__


def _with_field(term: Term) -> Loss:
    """A loss with one of the terms that have fields of their own in `Loss`."""
    fields = {"cross_entropy": 0.0, term.name: term.weight}
    for option in term.__struct_fields__:
        prefixed = f"{term.name}_{option}"
        if option != "weight":
            fields[prefixed if prefixed in Loss.__struct_fields__ else option] = getattr(term, option)
    return Loss(**fields)  # type: ignore[arg-type]


def _require(condition: bool | Tensor, sentence: str) -> None:
    if not bool(condition):
        raise AssertionError(sentence)
