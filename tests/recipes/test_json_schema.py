"""The JSON Schema of recipes accepts what the loader accepts, and refuses what it refuses for its type."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.files import load_toml
from pixelwise.recipes.json_schema import recipe_schema
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.recipe import to_plain

VALUES: tuple[Any, ...] = (
    True, 0, 1, 3, -1, 300, 0.5, -0.5, 1.5, "text", "none", [], [1, 2], [0.5, 2], ["a"], [[1, 2, 3]], {}, {"a": 1},
    {"a": {"weight": 1}},
)  # fmt: skip
OF_TYPE = re.compile(
    r"expected .*, got|invalid (enum )?value|^recipe: (model: )?there is no|missing required field|is not a table"
)


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(recipe_schema())


def places(plain: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every path in plain data, of tables, lists and values."""
    if path:
        yield path
    inside = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


def at(plain: Any, path: tuple) -> Any:
    for key in path:
        plain = plain[key]
    return plain


def refusal(source: dict[str, Any] | Path) -> RecipeError | None:
    """Why the loader refuses a recipe or a file; None if it accepts it."""
    try:
        load_toml(source) if isinstance(source, Path) else from_plain(copy.deepcopy(source))
    except RecipeError as error:
        return error
    return None


def agree(plain: dict[str, Any]) -> None:
    """Compare the schema with the loader."""
    refused = refusal(plain)
    found = next(validator().iter_errors(plain), None)
    if refused is None:
        assert found is None, f"{list(found.path)}: {found.message}"
    elif refused.code in ("R202", "R235", "R274") or OF_TYPE.search(refused.message):
        assert found is not None, refused.message


def changed(data: st.DataObject) -> dict[str, Any]:
    """A recipe with a value of another kind, without a field, or with a field that does not exist."""
    plain = to_plain(recipe(data.draw(st.sampled_from(list_recipes()))))
    path = data.draw(st.sampled_from(list(places(plain))))
    where = at(plain, path[:-1])
    what = data.draw(st.sampled_from(("replace", "replace", "replace", "remove", "add")))
    if what == "replace":
        where[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    elif what == "remove":
        del where[path[-1]]
    elif isinstance(at(plain, path), dict):
        at(plain, path)["acme"] = 1
    return plain


def test_the_schema_is_one():
    Draft7Validator.check_schema(recipe_schema())
    assert json.loads(json.dumps(recipe_schema())) == recipe_schema()


@pytest.mark.parametrize("part", range(4))
def test_every_recipe_validates(part: int):
    wrong = {}
    for name in list_recipes()[part::4]:
        if error := next(validator().iter_errors(json.loads(json.dumps(to_plain(recipe(name))))), None):
            wrong[name] = f"{list(error.path)}: {error.message[:200]}"
    assert wrong == {}


@settings(max_examples=60)
@given(st.data())
def test_schema_and_loader_agree_on_changed_recipes(data: st.DataObject):
    agree(changed(data))


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@settings(max_examples=2000)
@given(st.data())
def test_schema_and_loader_agree_on_thousands_of_changed_recipes(data: st.DataObject):
    agree(changed(data))


WITH_BASE = (
    {"optimizer": {"lr": 0.1}},
    {"optimizer": {"lr": -1}},
    {"optimizer": {"lrr": 0.1}},
    {"optimizer": {"kind": "sdg"}},
    {"model": {"encoder": "resnet18"}},
    {"model": {"encoder": 3}},
    {"model": {"family": "linear"}},
    {"model": {"family": "lineal"}},
    {"model": {"family": "fcn", "acme": 1}},
    {"model": {"preprocessing": {"mean": [0.0, 0.5, 1]}}},
    {"loss": {"terms": {"boundary_aware": {"weight": 0, "ohem": {"min_kept": 5}}}}},
    {"loss": {"terms": {"boundary_awake": {"weight": 0.5}}}},
    {"loss": {"terms": {"lovasz": {"weight": 0.5}}}},
    {"loss": {"lovasz": 0.5, "class_weights": [1, 2.5]}},
    {"loss": {"class_weights": "enett"}},
    {"data": {"label_map": {"0": 0, "7": 255}, "town_size": [64, 48]}},
    {"data": {"label_map": {"0": "a"}}},
    {"data": {"town_size": [64]}},
    {"ema": {"decay": 1.0}},
    {"sampling": {"batch_size": 0}},
    {"acme": 1},
)


@pytest.mark.parametrize("changes", WITH_BASE, ids=json.dumps)
def test_schema_and_loader_agree_on_files_with_a_base(changes: dict[str, Any], tmp_path: Path):
    plain = {"base": "unet-resnet18", **changes}
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(plain), "utf-8")
    assert validator().is_valid(plain) is (refusal(file) is None)


def test_a_base_is_a_name_or_a_file():
    for base, right in (("unet", True), ("parts/mine.toml", True), ("unett", False), (3, False)):
        assert validator().is_valid({"base": base}) is right
    assert not validator().is_valid({})


def test_fields_are_described_with_default_and_range():
    schema = recipe_schema()
    found = schema["definitions"]["Optimizer"]["properties"]["momentum"]
    assert found == {
        "description": "Momentum of `sgd`.",
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.9,
    }
    assert schema["definitions"]["Optimizer"]["required"] == ["lr"]
    assert "required" not in schema["definitions"]["OptimizerChanges"]


def test_an_error_names_the_field_and_not_the_section():
    plain = to_plain(recipe("unet-resnet18"))
    plain["model"]["encoder"] = 3
    found = {tuple(error.absolute_path) for error in validator().iter_errors(plain)}
    assert found == {("model", "encoder")}
