import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.losses.focal import binary_focal_term, focal_term
from pixelwise.losses.term import MULTI_LABEL, SINGLE_LABEL, SingleLabel, computes, function_of
from pixelwise.recipes.schema.terms import TERMS, Term, register_term
from pixelwise.recipes.terms.boundary import Boundary
from pixelwise.recipes.terms.focal import Focal


@pytest.fixture
def Largest():
    """A term of another package, while the test runs."""

    @register_term("largest")
    class Largest(Term, frozen=True, kw_only=True):
        pass

    yield Largest
    TERMS.discard("largest")
    SINGLE_LABEL.discard("largest")


def test_the_function_of_a_term_is_the_one_for_its_labels():
    assert function_of(Focal(), multilabel=False) is focal_term
    assert function_of(Focal(), multilabel=True) is binary_focal_term


def test_a_strangers_function_is_registered_like_ours(Largest):
    @computes(Largest)
    def largest(seen: SingleLabel, term: Term) -> torch.Tensor:
        return seen.logits.max()

    assert function_of(Largest(), multilabel=False) is largest


def test_a_term_without_a_function_is_an_error(Largest):
    with pytest.raises(RecipeError, match="largest") as caught:
        function_of(Largest(), multilabel=False)
    assert caught.value.code == "R275"


def test_what_is_not_registered_cannot_be_computed():
    class Unknown(Term, frozen=True, kw_only=True):
        pass

    with pytest.raises(TypeError, match="no loss term"):
        computes(Unknown)


def test_a_function_for_labels_that_the_term_excludes_is_refused():
    with pytest.raises(TypeError, match="multi_label"):
        computes(Boundary, multilabel=True)


def test_every_term_has_the_functions_that_it_promises():
    for name, term in TERMS.own().items():
        assert (SINGLE_LABEL.look_up(name) is not None) == term.single_label, name
        assert (MULTI_LABEL.look_up(name) is not None) == term.multi_label, name
