"""Name -> recipe, for the built-in recipes and those of third-party packages; files are read in `files`."""

from __future__ import annotations

import importlib
from functools import cache

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema import Recipe
from pixelwise.recipes.suggestions import did_you_mean

ENTRY_POINT_GROUP = "pixelwise.recipes"
"""Third-party packages add recipes with an entry point whose value is a sequence of `Recipe`."""


MODULES = (
    "pytorch_enet",
    "sssegmentation",
    "united_perception",
    "edgeai",
    "tf_deeplab",
    "torchvision",
    "miscellaneous",
    "generic",
    "camvid_scratch",
)
"""Of this package, in the order in which recipes are listed; each has a tuple `RECIPES`."""


@cache
def _of_module(name: str) -> dict[str, Recipe]:
    # Looking up one recipe should not build those of all modules.
    return {entry.name: entry for entry in importlib.import_module(f"pixelwise.recipes.{name}").RECIPES}


@cache
def _built_in() -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    for module in MODULES:
        for name, entry in _of_module(module).items():
            if name in recipes:
                raise ValueError(f"two recipes are named '{name}'")
            recipes[name] = entry
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
    """The recipe of that name.

    Raises:
        RecipeError: R200, there is no such recipe (with the nearest names).
    """
    found = next((_of_module(module)[name] for module in MODULES if name in _of_module(module)), None)
    found = found or _third_party().get(name)
    if found is None:
        known = list_recipes()
        raise RecipeError(
            "R200",
            f"no recipe is named '{name}'{did_you_mean(name, known)}",
            "`pixelwise recipes` lists all; a recipe file must end in .toml",
        )
    return found
