import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes import loss_terms
from pixelwise.recipes.loss_terms.focal import Focal
from pixelwise.recipes.loss_terms.tversky import Tversky
from pixelwise.recipes.schema.terms import TERMS, Term, register_term, term_from_plain


def test_built_in_terms_are_found_by_name():
    assert {"cross_entropy", "dice", "focal", "tversky", "lovasz", "boundary"} <= set(TERMS.own())
    assert TERMS.find("focal") is Focal
    assert Focal.name == "focal"


def test_options_that_are_not_given_have_their_defaults():
    assert term_from_plain("tversky", {"alpha": 0.5}) == Tversky(weight=1.0, alpha=0.5, beta=0.7)
    own = Focal(gamma=1)
    assert term_from_plain("focal", own) is own


@pytest.mark.parametrize("name", ["", "two words", "a.b", "1st"])
def test_a_name_unusable_in_overrides_is_refused(name: str):
    with pytest.raises(TypeError, match=f"'{name}'"):
        register_term(name)(type("Odd", (Term,), {}, frozen=True))


def test_an_option_without_a_default_is_refused():
    with pytest.raises(TypeError, match=r"Hinge\.margin "):

        @register_term("hinge")
        class Hinge(Term, frozen=True, kw_only=True):
            margin: float

    assert "hinge" not in TERMS


def test_a_class_that_is_not_a_term_is_refused():
    with pytest.raises(TypeError, match=r"int.* Term"):
        register_term("hinge")(int)  # type: ignore[type-var]


def test_a_name_of_ours_is_taken():
    class Mine(Term, frozen=True, kw_only=True):
        pass

    with pytest.raises(RecipeError, match=r"pixelwise\.recipes\.loss_terms\.dice") as caught:
        register_term("dice")(Mine)
    assert caught.value.code == "R234"
    assert Mine.name == ""


@pytest.mark.parametrize("name", ["auxiliary", "normalize", "focal_gamma"])
def test_the_name_of_another_field_of_loss_is_taken(name: str):
    with pytest.raises(RecipeError) as caught:
        register_term(name)(type("Odd", (Term,), {}, frozen=True))
    assert caught.value.code == "R234"
    assert name not in TERMS


def test_an_option_that_would_lose_none_is_refused():
    with pytest.raises(TypeError, match=r"Hinge\.margin accepts None"):

        @register_term("hinge")
        class Hinge(Term, frozen=True, kw_only=True):
            margin: float | None = 1.0

    assert "hinge" not in TERMS


@pytest.mark.parametrize("module", sorted(path.stem for path in Path(loss_terms.__path__[0]).glob("[!_]*.py")))
def test_whichever_term_is_imported_first_all_are_known(module: str):
    code = (
        f"import pixelwise.recipes.loss_terms.{module}, pixelwise\n"
        "loss = pixelwise.recipe('unet-resnet18', ['loss.focal=1.0', 'loss.dice=1.0', 'loss.tversky=1.0']).loss\n"
        "print(*(type(term).__name__ for term in loss.active_terms()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["CrossEntropy", "Dice", "Focal", "Tversky"]
