from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.options import Options, chosen, field_texts


class Shape(Options, frozen=True, kw_only=True):
    """A shape.

    Attributes:
        sides: Number of sides,
            on two lines.
        color: One of three.
        share: Of the whole.
        corners: Several numbers.
    """

    sides: Annotated[int, Meta(ge=3)] = 4
    color: Literal["red", "green"] = "red"
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    corners: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    kinds: tuple[Literal["flat", "solid"], ...] = ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sides": 2}, ("`sides`", "2", "3 or more")),
        ({"color": "blue"}, ("`color`", "'blue'", "red, green")),
        ({"share": 1.5}, ("`share`", "1.5", "0 to 1")),
        ({"corners": (4, 0)}, ("`corners`", "(4, 0)", "1 or more")),
        ({"kinds": ("flat", "round")}, ("`kinds`", "flat, solid")),
    ],
)
@pytest.mark.parametrize("build", [lambda changes: Shape(**changes), lambda changes: chosen(Shape, Shape(), changes)])
def test_a_value_out_of_bounds_is_refused(build, changes, words):
    with pytest.raises(RecipeError) as caught:
        build(changes)
    assert caught.value.code == "R260"
    assert all(word in caught.value.message for word in words)


class Given(Shape, frozen=True, kw_only=True):
    """Fields of every kind that is converted."""

    file: Path | None = None
    files: Annotated[tuple[Path, ...] | None, Meta(extra={"many": True})] = None
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None


@pytest.mark.parametrize(
    ("field", "given", "held"),
    [
        ("file", "a.html", Path("a.html")),
        ("file", PurePosixPath("a.html"), Path("a.html")),
        ("files", ["a", Path("b")], (Path("a"), Path("b"))),
        ("files", "a", (Path("a"),)),
        ("names", "abc", ("abc",)),
        ("names", ["a", "b"], ("a", "b")),
        ("corners", 4, (4,)),
        ("kinds", "flat", ("flat",)),
        ("size", (3, 4), (3, 4)),
        ("files", None, None),
    ],
)
@pytest.mark.parametrize("build", [lambda changes: Given(**changes), lambda changes: chosen(Given, Given(), changes)])
def test_paths_may_be_text_and_one_value_stands_for_several(build, field: str, given: Any, held: Any):
    found = getattr(build({field: given}), field)
    assert found == held
    assert type(found) is type(held)


def test_a_single_value_is_held_against_the_bounds_too():
    with pytest.raises(RecipeError, match=r"R260.*`kinds`.*'round'"):
        Shape(kinds="round")  # type: ignore[arg-type]


def test_bounds_include_their_ends():
    assert Shape(sides=3, share=1.0, corners=(1,), kinds=("flat", "solid")).sides == 3


def test_keywords_win_over_the_struct():
    assert chosen(Shape, Shape(sides=5, color="green"), {"sides": 7}) == Shape(sides=7, color="green")


def test_without_a_struct_the_rest_is_default():
    assert chosen(Shape, None, {"color": "green"}) == Shape(color="green")


@pytest.mark.parametrize(("name", "hint"), [("side", "sides"), ("zzz", "sides, color")])
def test_an_unknown_keyword_is_named_with_the_nearest(name: str, hint: str):
    with pytest.raises(TypeError, match=f"'{name}'.*{hint}"):
        chosen(Shape, None, {name: 1})


def test_texts_are_those_of_the_docstring_in_one_line():
    assert field_texts(Shape)["sides"] == "Number of sides, on two lines."
    assert field_texts(Shape)["corners"] == "Several numbers."


def test_texts_of_a_base_are_inherited():
    class Square(Shape, frozen=True, kw_only=True):
        """A square.

        Attributes:
            size: In pixels.
        """

        size: int = 1

    assert list(field_texts(Square)) == ["sides", "color", "share", "corners", "size"]


def test_options_are_immutable():
    with pytest.raises(AttributeError):
        Shape().sides = 3  # type: ignore[misc]
    assert msgspec.structs.asdict(Shape())["sides"] == 4
