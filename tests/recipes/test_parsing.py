import math
import tomllib
from typing import Any

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.base import Part
from pixelwise.recipes.schema.model import SPECS, Spec
from pixelwise.recipes.schema.recipe import to_plain

PLAIN = to_plain(recipe("town-demo"))


@pytest.mark.parametrize("name", list_recipes())
def test_plain_data_makes_the_same_recipe(name: str):
    assert from_plain(to_plain(recipe(name))) == recipe(name)


def test_a_network_of_any_registered_family_is_read(monkeypatch: pytest.MonkeyPatch):
    class MySpec(Spec, frozen=True, kw_only=True, tag="mine"):
        width: int = 8

    monkeypatch.setitem(SPECS, "mine", MySpec)
    read = from_plain({**PLAIN, "model": {"family": "mine", "width": 4}})
    assert read.model == MySpec(width=4)
    assert to_plain(read)["model"]["family"] == "mine"
    with pytest.raises(RecipeError, match=r"mine\.toml: model .*'widht'.*'width'") as caught:
        from_plain({**PLAIN, "model": {"family": "mine", "widht": 4}}, "mine.toml")
    assert caught.value.code == "R202"
    with pytest.raises(RecipeError, match=r"model\.width: .* got 'wide'") as caught:
        from_plain({**PLAIN, "model": {"family": "mine", "width": "wide"}})
    assert caught.value.code == "R203"


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ({"family": "mine"}, "R235", "a.toml: model.family: .*'mine'"),
        ({}, "R203", "a.toml: model: .* family"),
        ({"family": 3}, "R203", "a.toml: model.family: .* got 3"),
        ("fcn", "R203", "a.toml: model: .* got 'fcn'"),
        ({"family": "fcn", "encoder": 3}, "R203", "a.toml: model.encoder: .* got 3"),
        ({"family": "enet", "graph": "old"}, "R203", "model.graph: .*'old'.* overlapping, any-size"),
        (
            {"family": "enet", "preprocessing": {"mean": [1, "b", 2]}},
            "R203",
            r"a.toml: model.preprocessing.mean\[1\]: ",
        ),
        ({"family": "enet", "preprocessing": {"mean": [1.0], "std": []}}, "R203", "model.preprocessing .*1 .* 0 "),
    ],
)
def test_a_wrong_network_is_named_with_its_place(model: Any, code: str, words: str):
    with pytest.raises(RecipeError, match=words) as caught:
        from_plain({**PLAIN, "model": model}, "a.toml")
    assert caught.value.code == code
    assert caught.value.help


def test_a_missing_section_is_named():
    with pytest.raises(RecipeError, match=r"a\.toml: .*optimizer") as caught:
        from_plain({key: value for key, value in PLAIN.items() if key != "optimizer"}, "a.toml")
    assert caught.value.code == "R203"


def test_text_where_a_name_belongs_is_refused():
    with pytest.raises(RecipeError, match=r"name: .* got 3") as caught:
        from_plain({**PLAIN, "name": 3})
    assert caught.value.code == "R203"


class Left(Part, frozen=True, tag="left"):
    width: int = 1


class Right(Part, frozen=True, tag="right"):
    height: int = 1


class ShapedSpec(Spec, frozen=True, kw_only=True, tag="shaped"):
    sides: dict[str, Left] = {}
    side: Left | Right = Left()


def test_mappings_of_structs_and_unions_of_them_are_read_back():
    SPECS.add("shaped", ShapedSpec)
    try:
        model = ShapedSpec(sides={"a": Left(width=2)}, side=Right(height=3))
        made = msgspec.structs.replace(recipe("town-demo"), model=model)
        assert from_plain(tomllib.loads(to_toml(made))).model == model
        plain = to_plain(made)
        plain["model"]["sides"]["a"]["widht"] = 1
        with pytest.raises(RecipeError, match=r"model\.sides\.a .*'widht'.*'width'") as caught:
            from_plain(plain)
    finally:
        SPECS.discard("shaped")
    assert caught.value.code == "R202"


FLOATS = [
    (section, name)
    for section, fields in PLAIN.items()
    if isinstance(fields, dict)
    for name, value in fields.items()
    if isinstance(value, float)
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("section", "name"), FLOATS)
def test_numbers_are_finite(section: str, name: str, value: float):
    with pytest.raises(RecipeError) as caught:
        from_plain({**PLAIN, section: {**PLAIN[section], name: value}})
    assert caught.value.code == "R203"
    assert name in caught.value.message


def test_numbers_in_lists_are_finite():
    with pytest.raises(RecipeError, match=r"augment\.scale\.1: expected a finite number, got inf"):
        from_plain({**PLAIN, "augment": {**PLAIN["augment"], "scale": [0.5, math.inf]}})
