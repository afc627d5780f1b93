"""Name -> recipe, for the built-in recipes and those of third-party packages; files are read in `files`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from pixelwise.errors import RecipeError
from pixelwise.plugins import Plugin, load_plugins, refuse, warn
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.suggestions import did_you_mean

ENTRY_POINT_GROUP = "pixelwise.recipes"
"""Third-party packages add recipes with an entry point whose value is a sequence of `Recipe`."""
_RENAME = "uninstall one of them, or ask for another name: the package's own in front of it is always free"

MODULES = (
    "published.pytorch_enet",
    "published.sssegmentation",
    "published.united_perception",
    "published.edgeai",
    "published.tf_deeplab",
    "published.torchvision",
    "published.erfnet_swiftnet",
    "own.generic",
    "own.camvid_scratch",
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


class _ThirdParty(NamedTuple):
    """The recipes of other packages, and the names that several of them claim."""

    recipes: dict[str, Recipe]
    contested: dict[str, tuple[Plugin, Plugin]]


@cache
def _third_party() -> _ThirdParty:
    found: dict[str, tuple[Plugin, Recipe]] = {}
    contested: dict[str, tuple[Plugin, Plugin]] = {}
    for plugin, value in load_plugins(ENTRY_POINT_GROUP):
        for entry in _recipes_of(plugin, value):
            name = entry.name
            if name in _built_in():
                warn("W241", f"recipe '{name}' of {plugin} is not used: {_place(name)} has that name", _RENAME)
            elif name not in found:
                found[name] = plugin, entry
            elif found[name][1] != entry and name not in contested:
                contested[name] = found[name][0], plugin
                warn("W241", f"recipe '{name}' is not used: {_claimed(contested[name])} have that name", _RENAME)
    return _ThirdParty({name: entry for name, (_, entry) in found.items() if name not in contested}, contested)


def _recipes_of(plugin: Plugin, value: Any) -> Sequence[Recipe]:
    """What an entry point refers to, if that is a sequence of recipes; else a warning and nothing."""
    expected = "expected a sequence of pixelwise.Recipe"
    if not isinstance(value, Sequence):
        refuse(plugin, f"is a {type(value).__name__}; {expected}")
        return ()
    for position, entry in enumerate(value):
        if not isinstance(entry, Recipe):
            refuse(plugin, f"holds a {type(entry).__name__} at position {position}; {expected}")
            return ()
    return value


def _place(name: str) -> str:
    """Where a built-in recipe is defined."""
    module = next(module for module in MODULES if name in _of_module(module))
    return f"the built-in one in pixelwise.recipes.{module}"


def _claimed(plugins: tuple[Plugin, Plugin]) -> str:
    return f"{plugins[0]} and {plugins[1]}"


def list_recipes() -> list[str]:
    """Names of all recipes, built-in ones first.

    Of a package that cannot be imported, and of a name that is taken, there is a `PixelwiseWarning` instead.
    """
    return [*_built_in(), *_third_party().recipes]


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: R200, there is no such recipe (with the nearest names); R233, two packages claim the name.
    """
    found = next((_of_module(module)[name] for module in MODULES if name in _of_module(module)), None)
    if found is not None:
        return found
    others = _third_party()
    if name in others.contested:
        raise RecipeError("R233", f"recipe '{name}' is claimed by {_claimed(others.contested[name])}", _RENAME)
    found = others.recipes.get(name)
    if found is None:
        known = list_recipes()
        raise RecipeError(
            "R200",
            f"no recipe is named '{name}'{did_you_mean(name, known)}",
            "`pixelwise recipes` lists all; a recipe file must end in .toml",
        )
    return found
