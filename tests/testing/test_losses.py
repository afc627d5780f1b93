from collections.abc import Callable

import pytest
import torch

from pixelwise.losses.term import FUNCTIONS, SingleLabel, computes
from pixelwise.recipes.schema.terms import TERMS, Term, register_term
from pixelwise.recipes.terms.focal import Focal
from pixelwise.testing import check_term


def valid(seen: SingleLabel) -> torch.Tensor:
    return (seen.labels != 255).unsqueeze(1)


WRONG = {
    "expected a scalar": lambda seen: (seen.logits * valid(seen)).sum((1, 2, 3)),
    "it is nan": lambda seen: (seen.logits * valid(seen)).sum() * float("nan"),
    "gradient at ignored pixels": lambda seen: seen.logits.sum(),
    "gradient is 0 everywhere": lambda seen: (seen.logits * 0).sum(),
    "the second time": lambda seen: (seen.logits * valid(seen)).sum() * torch.rand(()),
    "without labels costs 1": lambda seen: (seen.logits * valid(seen)).sum() + (seen.labels == 255).all(),
    "expected float32": lambda seen: (seen.logits.bfloat16() * valid(seen)).sum(),
    "reads something back": lambda seen: (seen.logits * valid(seen)).sum() / max(1, int(valid(seen).sum())),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_a_term_does_wrong_is_said(words: str):
    @register_term("wrong")
    class Wrong(Term, frozen=True, kw_only=True):
        pass

    function: Callable[[SingleLabel], torch.Tensor] = WRONG[words]
    try:
        computes(Wrong)(lambda seen, term: function(seen))
        with pytest.raises(AssertionError, match=words):
            check_term("wrong")
    finally:
        TERMS.discard("wrong")
        FUNCTIONS.pop(("wrong", False), None)


def test_a_promise_without_a_function_is_said():
    @register_term("empty")
    class Empty(Term, frozen=True, kw_only=True):
        pass

    try:
        with pytest.raises(AssertionError, match="'empty'"):
            check_term(Empty())
    finally:
        TERMS.discard("empty")


def test_a_weight_of_0_checks_nothing_and_is_refused():
    with pytest.raises(AssertionError, match="weight"):
        check_term(Focal(weight=0))
