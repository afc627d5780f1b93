import subprocess
import sys
from pathlib import Path

import pytest
import torch
from distributions import install, python

from pixelwise.errors import RecipeError
from pixelwise.losses.focal import binary_focal_term, focal_term
from pixelwise.losses.term import FUNCTIONS, SingleLabel, computes, function_of
from pixelwise.recipes.loss_terms.boundary import Boundary
from pixelwise.recipes.loss_terms.focal import Focal
from pixelwise.recipes.schema.terms import TERMS, Term, register_term


@pytest.fixture
def Largest():
    """A term that does not belong to the package, registered while a test runs."""

    @register_term("largest")
    class Largest(Term, frozen=True, kw_only=True):
        pass

    yield Largest
    TERMS.discard("largest")
    FUNCTIONS.pop(("largest", False), None)


def test_the_function_of_a_term_is_the_one_for_its_labels():
    assert function_of(Focal(), multilabel=False) is focal_term
    assert function_of(Focal(), multilabel=True) is binary_focal_term


def test_the_function_of_another_package_is_registered_like_a_built_in_one(Largest):
    @computes(Largest)
    def largest(seen: SingleLabel, term: Term) -> torch.Tensor:
        return seen.logits.max()

    assert function_of(Largest(), multilabel=False) is largest


def test_a_term_without_a_function_is_an_error(Largest):
    with pytest.raises(RecipeError, match=r"'largest'(.|\n)*computes\(Largest\)") as caught:
        function_of(Largest(), multilabel=False)
    assert caught.value.code == "R275"


def test_what_is_not_registered_cannot_be_computed():
    class Unknown(Term, frozen=True, kw_only=True):
        pass

    with pytest.raises(TypeError, match=r"Unknown.*register_term"):
        computes(Unknown)


def test_a_function_for_labels_that_the_term_excludes_is_refused():
    with pytest.raises(TypeError, match=r"Boundary\.multi_label is False"):
        computes(Boundary, multilabel=True)


def test_a_second_function_is_refused_and_one_that_is_defined_again_replaces_the_first(Largest):
    def make(name: str):
        def largest(seen: SingleLabel, term: Term) -> torch.Tensor:
            return seen.logits.max()

        largest.__qualname__ = name
        return largest

    computes(Largest)(make("largest"))
    again = computes(Largest)(make("largest"))
    assert function_of(Largest(), multilabel=False) is again
    with pytest.raises(RecipeError, match=rf"'largest'.*{__name__}\.largest.*{__name__}\.other") as caught:
        computes(Largest)(make("other"))
    assert caught.value.code == "R234"


@pytest.mark.heavy
def test_a_built_in_term_keeps_its_function_even_if_another_is_registered_before_it_is_imported():
    code = (
        "import sys\n"
        "from pixelwise.errors import RecipeError\n"
        "from pixelwise.losses.term import computes, function_of\n"
        "from pixelwise.recipes.loss_terms.focal import Focal\n"
        "try: computes(Focal)(lambda seen, term: seen.logits.sum())\n"
        "except RecipeError as error: print(error.code, 'pixelwise.losses.focal' in sys.modules)\n"
        "print(function_of(Focal(), multilabel=False).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["R234", "False", "pixelwise.losses.focal"]


def test_the_function_of_a_plug_in_that_failed_is_removed_with_its_term(tmp_path: Path):
    code = (
        "from pixelwise.losses.term import computes\n"
        "from pixelwise.recipes.schema.terms import Term, register_term\n"
        "@register_term('lost')\n"
        "class Lost(Term, frozen=True, kw_only=True): pass\n"
        "@computes(Lost)\n"
        "def lost(seen, term): return seen.logits.sum()\n"
        "1 / 0\n"
    )
    install(tmp_path, "acme", "[pixelwise.plugins]\nacme = acme\n", code)
    script = (
        "from pixelwise.losses.term import FUNCTIONS\n"
        "from pixelwise.recipes.schema.terms import TERMS\n"
        "print(TERMS.look_up('lost'), ('lost', False) in FUNCTIONS)"
    )
    assert python("-c", script, site=tmp_path).stdout == "None False\n"


@pytest.mark.parametrize("name", TERMS.own())
def test_every_term_has_the_functions_that_it_promises(name: str):
    term = TERMS[name]
    for multilabel, promised in ((False, term.single_label), (True, term.multi_label)):
        if promised:
            assert callable(function_of(term(), multilabel=multilabel))
        else:
            with pytest.raises(RecipeError) as caught:
                function_of(term(), multilabel=multilabel)
            assert caught.value.code == "R275"


def test_registering_a_term_and_its_function_imports_no_torch():
    code = (
        "import sys\n"
        "from pixelwise.losses.term import computes\n"
        "from pixelwise.recipes.schema.terms import Term, register_term\n"
        "@register_term('mine')\n"
        "class Mine(Term, frozen=True, kw_only=True): pass\n"
        "computes(Mine)(lambda seen, term: seen.logits.sum())\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
