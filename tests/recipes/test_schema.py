import tomllib
from pathlib import Path

import msgspec
import pytest

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema import to_plain

RESOLVED = Path(__file__).parent / "resolved.toml"


def test_the_resolved_recipes_are_the_committed_ones():
    # After an intended change: python tests/recipes/write_resolved.py
    committed = tomllib.loads(RESOLVED.read_text("utf-8"))
    assert committed == {name: to_plain(recipe(name)) for name in list_recipes()}


def test_equal_recipes_have_equal_hashes_and_any_change_alters_them():
    enet = recipe("enet-camvid")
    assert enet.hash() == msgspec.structs.replace(enet).hash()
    assert enet.hash() != apply_overrides(enet, ["sampling.seed=1"]).hash()


def test_recipes_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        recipe("enet-camvid").optimizer.lr = 1.0  # type: ignore[misc]
