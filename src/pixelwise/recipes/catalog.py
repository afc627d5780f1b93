"""Name -> recipe, for the built-in recipes, recipe files and third-party packages."""

from __future__ import annotations

from functools import cache

from pixelwise.errors import RecipeError
from pixelwise.recipes import (
    edgeai,
    generic,
    miscellaneous,
    pytorch_enet,
    sssegmentation,
    tf_deeplab,
    torchvision,
    united_perception,
)
from pixelwise.recipes.schema import Recipe
from pixelwise.recipes.suggestions import did_you_mean

ENTRY_POINT_GROUP = "pixelwise.recipes"
"""Third-party packages add recipes with an entry point whose value is a sequence of `Recipe`."""


@cache
def _built_in() -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    for module in (
        pytorch_enet,
        sssegmentation,
        united_perception,
        edgeai,
        tf_deeplab,
        torchvision,
        miscellaneous,
        generic,
    ):
        for entry in module.RECIPES:
            if entry.name in recipes:
                raise ValueError(f"two recipes are named '{entry.name}'")
            recipes[entry.name] = entry
    return recipes


@cache
def _third_party() -> dict[str, Recipe]:
    # Importing importlib.metadata takes 15 ms: only when a name is not a built-in one.
    from importlib.metadata import entry_points

    recipes: dict[str, Recipe] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        for entry in point.load():
            recipes[entry.name] = entry
    return recipes


def list_recipes() -> list[str]:
    """Names of all recipes, built-in ones first."""
    built_in = _built_in()
    return [*built_in, *(name for name in _third_party() if name not in built_in)]


def recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a TOML file when `name` ends in `.toml`.

    Raises:
        RecipeError: R200 no such recipe (with the nearest names); R205, R202, R203 for files.
    """
    if name.endswith(".toml"):
        # Only when needed: reading one built-in recipe should stay a matter of milliseconds.
        from pathlib import Path

        from pixelwise.recipes.overrides import load_toml

        return load_toml(Path(name))
    found = _built_in().get(name) or _third_party().get(name)
    if found is None:
        known = list_recipes()
        raise RecipeError(
            "R200",
            f"no recipe is named '{name}'{did_you_mean(name, known)}",
            "`pixelwise recipes` lists all; a recipe file must end in .toml",
        )
    return found
