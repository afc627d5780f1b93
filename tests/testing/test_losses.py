from collections.abc import Callable

import pytest
import torch

from pixelwise.losses.term import FUNCTIONS, SingleLabel, computes
from pixelwise.recipes.loss_terms.focal import Focal
from pixelwise.recipes.schema.terms import TERMS, Term, register_term
from pixelwise.testing import check_term


def valid(seen: SingleLabel) -> torch.Tensor:
    return (seen.labels != 255).unsqueeze(1)


WRONG = {
    r"wrong: .*\(2,\).* scalar": lambda seen: (seen.logits * valid(seen)).sum((1, 2, 3)),
    r"wrong .*\bnan\b": lambda seen: (seen.logits * valid(seen)).sum() * float("nan"),
    r"wrong .*gradient .*ignored": lambda seen: seen.logits.sum(),
    r"wrong .*gradient .*\b0 everywhere": lambda seen: (seen.logits * 0).sum(),
    r"wrong .*: .*-?\d+\.\d+.* -?\d+\.\d+.* second": lambda seen: (seen.logits * valid(seen)).sum() * torch.rand(()),
    r"wrong .*\b1\.0; .*\b0$": lambda seen: (seen.logits * valid(seen)).sum() + (seen.labels == 255).all(),
    r"wrong .*torch\.bfloat16.* float32": lambda seen: (seen.logits.bfloat16() * valid(seen)).sum(),
    r"wrong .*\bdevice": lambda seen: (seen.logits * valid(seen)).sum() / max(1, int(valid(seen).sum())),
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
        with pytest.raises(AssertionError, match=r"\bempty\b"):
            check_term(Empty())
    finally:
        TERMS.discard("empty")


def test_a_weight_of_0_checks_nothing_and_is_refused():
    with pytest.raises(AssertionError, match="weight"):
        check_term(Focal(weight=0))
