"""Write `resolved.toml`: every recipe in full, so that a change to one shows in review."""

from pathlib import Path

import tomli_w

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.recipe import to_plain

if __name__ == "__main__":
    resolved = {name: to_plain(recipe(name)) for name in list_recipes()}
    Path(__file__).with_name("resolved.toml").write_text(tomli_w.dumps(resolved), "utf-8")
