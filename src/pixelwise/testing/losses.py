"""What every loss term must do, whoever registers it: one function that says what it does not."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.errors import RecipeError
from pixelwise.losses.segmentation import Truth, segmentation_loss
from pixelwise.losses.term import function_of
from pixelwise.recipes.classes.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.terms import TERMS, Term

CLASSES = 4


def check_term(term: str | Term) -> None:
    """Check that a loss term keeps its contract, for every kind of labels that it says it is defined for.

    It gives a finite scalar, the same one twice; its gradient is finite, is not 0 everywhere, and is 0 at ignored
    pixels; a batch without any label costs 0 and moves nothing; bfloat16 logits give a float32 loss; and it reads
    nothing back from the device, for which a GPU would have to be waited for.

    Args:
        term: Name of a term, which is then checked with the defaults of its options, or a term.

    Raises:
        AssertionError: What it does not do, in a sentence.
    """
    chosen = TERMS.find(term)() if isinstance(term, str) else term
    _require(
        chosen.weight > 0, f"{chosen.name}: its weight is {chosen.weight}; expected more than 0, so that it counts"
    )
    _require(chosen.single_label or chosen.multi_label, f"{chosen.name}: it is defined for no kind of labels")
    for multilabel in (False, True):
        if chosen.multi_label if multilabel else chosen.single_label:
            _check_labels(chosen, multilabel=multilabel)


def _check_labels(term: Term, *, multilabel: bool) -> None:
    name = f"{term.name} of {'multi-label data' if multilabel else 'one class per pixel'}"
    try:
        function_of(term, multilabel=multilabel)
    except RecipeError as error:
        raise AssertionError(f"{name}: {error.message}") from error
    logits, labels = _example(multilabel)
    value, gradient = _value_and_gradient(term, logits, labels, multilabel)
    _require(value.isfinite(), f"{name}: it is {value.item()}")
    _require(gradient.isfinite().all(), f"{name}: its gradient is not finite")
    _require(bool(gradient.any()), f"{name}: its gradient is 0 everywhere")
    ignored = labels == _void(multilabel)
    _require(not gradient.movedim(1, -1)[ignored].any(), f"{name}: it has a gradient at ignored pixels")
    again, _ = _value_and_gradient(term, logits, labels, multilabel)
    _require(torch.equal(value, again), f"{name}: it is {value.item()}, and {again.item()} the second time")
    value, gradient = _value_and_gradient(term, logits, torch.full_like(labels, _void(multilabel)), multilabel)
    _require(value == 0, f"{name}: a batch without labels costs {value.item()}; expected 0")
    _require(not gradient.any(), f"{name}: a batch without labels has a gradient")
    value, _ = _value_and_gradient(term, logits.to(torch.bfloat16), labels, multilabel)
    _require(value.dtype == torch.float32, f"{name}: of bfloat16 logits it is a {value.dtype}; expected float32")
    _check_waiting(term, name, multilabel)


def _check_waiting(term: Term, name: str, multilabel: bool) -> None:
    """On the device without values nothing can be read back."""
    logits, labels = (tensor.to("meta") for tensor in _example(multilabel))
    try:
        _value_and_gradient(term, logits.detach(), labels, multilabel)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise AssertionError(f"{name}: it reads something back from the device, or mixes devices: {reason}") from error


def _example(multilabel: bool) -> tuple[Tensor, Tensor]:
    """Logits (2, 4, 6, 7) and labels that leave out a class and some pixels."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, CLASSES, 6, 7, generator=random)
    most, kind = (1 << (CLASSES - 1), torch.int32) if multilabel else (CLASSES - 1, torch.uint8)
    labels = torch.randint(0, most, (2, 6, 7), generator=random).to(kind)
    labels[0, :2] = _void(multilabel)
    return logits, labels


def _void(multilabel: bool) -> int:
    return IGNORE_BIT if multilabel else IGNORE


def _value_and_gradient(term: Term, logits: Tensor, labels: Tensor, multilabel: bool) -> tuple[Tensor, Tensor]:
    """The term alone, as the main head of a network has it in training."""
    leaf = logits.clone().requires_grad_()
    # As a loader gives them; what is on the device without values has none to count.
    classes = [[0, 1, 2], [0, 1, 2]] if term.needs_classes and not multilabel else None
    loss = Loss(cross_entropy=0, terms={term.name: term}) if _is_table(term) else _with_field(term)
    weights = torch.ones(CLASSES, device=leaf.device)
    value = segmentation_loss((leaf,), Truth(labels, classes, multilabel), loss, weights)
    _require(value.shape == (), f"{term.name}: its shape is {tuple(value.shape)}; expected a scalar")
    value.backward()
    gradient = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
    return value.detach(), gradient


def _is_table(term: Term) -> bool:
    return term.name not in Loss.__struct_fields__


def _with_field(term: Term) -> Loss:
    """A loss of one of the terms that have fields of their own."""
    fields = {"cross_entropy": 0.0, term.name: term.weight}
    for option in term.__struct_fields__:
        prefixed = f"{term.name}_{option}"
        if option != "weight":
            fields[prefixed if prefixed in Loss.__struct_fields__ else option] = getattr(term, option)
    return Loss(**fields)  # type: ignore[arg-type]


def _require(condition: bool | Tensor, sentence: str) -> None:
    if not bool(condition):
        raise AssertionError(sentence)
