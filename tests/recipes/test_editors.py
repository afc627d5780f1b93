"""The schema as a file, and the line of a recipe that names it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.recipes.files import load_toml

MINE = 'base = "unet-resnet18"\n[optimizer]\nlr = 0.25\n'


def test_a_recipe_that_names_the_schema_stays_the_same(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE, "utf-8")
    before = load_toml(file)
    made = pixelwise.schema([file])
    assert made.output == tmp_path / "recipe.schema.json"
    assert json.loads(made.output.read_text("utf-8")) == made.schema
    assert file.read_text("utf-8") == f"#:schema ./recipe.schema.json\n{MINE}"
    assert load_toml(file) == before
    assert load_toml(file).hash() == before.hash()


def test_an_older_line_is_replaced_and_line_ends_stay(tmp_path: Path):
    (tmp_path / "recipes").mkdir()
    file, other = tmp_path / "recipes" / "a.toml", tmp_path / "b.toml"
    file.write_bytes(b'#:schema https://old.example/a.json\r\nbase = "unet"\r\n')
    other.write_bytes(b'base = "unet"\r\n# \xc3\xa9\r\n')
    pixelwise.schema((file, other), tmp_path / "all.json")
    assert file.read_bytes() == b'#:schema ../all.json\r\nbase = "unet"\r\n'
    assert other.read_bytes() == b'#:schema ./all.json\r\nbase = "unet"\r\n# \xc3\xa9\r\n'
    pixelwise.schema((file, other), tmp_path / "all.json")
    assert file.read_bytes() == b'#:schema ../all.json\r\nbase = "unet"\r\n'


@pytest.mark.parametrize("content", [None, b"base = \n", b"\xff\xfe\x00"])
def test_nothing_is_written_if_a_file_is_no_recipe(tmp_path: Path, content: bytes | None):
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(MINE, "utf-8")
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(RecipeError, match=r"bad\.toml") as raised:
        pixelwise.schema((good, bad))
    assert raised.value.code == "R205"
    assert good.read_text("utf-8") == MINE
    assert not (tmp_path / "recipe.schema.json").exists()


def test_the_schema_alone_is_returned_and_written_where_it_is_asked_for(tmp_path: Path):
    assert pixelwise.schema().output is None
    assert list(tmp_path.iterdir()) == []
    made = pixelwise.schema(output=tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert made.recipes == ()


def test_what_show_prints_may_carry_the_line(tmp_path: Path):
    from pixelwise.recipes.explaining import readable

    file = tmp_path / "unet.toml"
    file.write_text(readable(pixelwise.recipe("unet")), "utf-8")
    pixelwise.schema([file])
    assert load_toml(file).hash() == pixelwise.recipe("unet").hash()
    assert tomllib.loads(file.read_text("utf-8"))["name"] == "unet"
