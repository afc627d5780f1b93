"""The recipes by name: built-in ones and those of other packages. Recipe files are read in `files`.

A module registers its recipes when it is imported, whether it is built in or named by an installed package under the
entry point group `pixelwise.plugins`:

    RECIPES = register(Recipe(name="acme-fast", ...), Recipe(name="acme-small", ...))
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from pixelwise.entry_points import Plugin, load_plugins, refuse, warn
from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.suggestions import did_you_mean

ENTRY_POINT_GROUP = "pixelwise.recipes"
"""The older way to add recipes: an entry point of this group refers to a sequence of `Recipe`."""
_RENAME = "uninstall one of the packages, or ask for another name: one that starts with the package's is always free"

RECIPES: Registry[Recipe] = Registry(
    "recipe",
    RecipeError,
    "R200",
    built_in=("pixelwise.recipes.published", "pixelwise.recipes.own"),
)


def register(*recipes: Recipe) -> tuple[Recipe, ...]:
    """Register recipes by their names.

    Returns:
        The same recipes.

    Raises:
        TypeError: One of them is not a recipe.
        RecipeError: R234, a name is already taken.
    """
    for recipe in recipes:
        if not isinstance(recipe, Recipe):
            raise TypeError(f"expected a pixelwise.Recipe; got a {type(recipe).__name__}")
        RECIPES.add(recipe.name, recipe)
    return recipes


class _ThirdParty(NamedTuple):
    """The recipes of other packages, and the names claimed by several of them."""

    recipes: dict[str, Recipe]
    contested: dict[str, tuple[Plugin, Plugin]]


@cache
def _third_party() -> _ThirdParty:
    found: dict[str, tuple[Plugin, Recipe]] = {}
    contested: dict[str, tuple[Plugin, Plugin]] = {}
    registered = RECIPES.all()
    for plugin, value in load_plugins(ENTRY_POINT_GROUP):
        for entry in _recipes_of(plugin, value):
            name = entry.name
            if name in registered:
                place = RECIPES.module_of(name)
                warn("W241", f"recipe '{name}' of {plugin} is not used: {place} has a recipe of that name", _RENAME)
            elif name not in found:
                found[name] = plugin, entry
            elif found[name][1] != entry and name not in contested:
                contested[name] = found[name][0], plugin
                warn("W241", f"recipe '{name}' is not used: {_claimed(contested[name])} both claim it", _RENAME)
    return _ThirdParty({name: entry for name, (_, entry) in found.items() if name not in contested}, contested)


def _recipes_of(plugin: Plugin, value: Any) -> Sequence[Recipe]:
    """The recipes that an entry point refers to; a warning and none if it is not a sequence of recipes."""
    expected = "expected a sequence of pixelwise.Recipe"
    if not isinstance(value, Sequence):
        refuse(plugin, f"is a {type(value).__name__}; {expected}")
        return ()
    for position, entry in enumerate(value):
        if not isinstance(entry, Recipe):
            refuse(plugin, f"holds a {type(entry).__name__} at position {position}; {expected}")
            return ()
    return value


def _claimed(plugins: tuple[Plugin, Plugin]) -> str:
    return f"{plugins[0]} and {plugins[1]}"


def list_recipes(pattern: str = "") -> list[str]:
    """Names of the recipes: the published rows by page, then the other built-in ones, then those of other packages.

    A package that cannot be imported and a name that is already taken cause a `PixelwiseWarning`.

    Args:
        pattern: Text that the names have to contain, regardless of case.
    """
    own = RECIPES.own()
    paged = sorted(own, key=lambda name: published.page if (published := own[name].published) else "~")
    names = dict.fromkeys([*paged, *RECIPES.all(), *_third_party().recipes])
    return [name for name in names if pattern.lower() in name.lower()]


def recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        RecipeError: R200, there is no such recipe (with similar names); R233, two packages claim the name.
    """
    found = RECIPES.look_up(name)
    if found is not None:
        return found
    others = _third_party()
    if name in others.contested:
        raise RecipeError("R233", f"recipe '{name}' is claimed by {_claimed(others.contested[name])}", _RENAME)
    found = others.recipes.get(name)
    if found is None:
        raise RecipeError(
            "R200",
            f"no recipe is named '{name}'{did_you_mean(name, list_recipes())}",
            "`pixelwise recipes` lists all of them; a recipe of another package needs that package to be installed, "
            "and the name of a recipe file has to end in .toml",
        )
    return found
