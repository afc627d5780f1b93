"""Name -> recipe: ours and those of other packages; files are read in `files`.

A module registers its recipes when it is imported, ours as well as one that an installed package names under the entry
point group `pixelwise.plugins`:

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
_RENAME = "uninstall one of them, or ask for another name: the package's own in front of it is always free"

RECIPES: Registry[Recipe] = Registry(
    "recipe",
    RecipeError,
    "R200",
    built_in=("pixelwise.recipes.published", "pixelwise.recipes.own"),
)


def register(*recipes: Recipe) -> tuple[Recipe, ...]:
    """Register recipes, each by its name.

    Returns:
        The recipes.

    Raises:
        TypeError: One of them is no recipe.
        RecipeError: R234, a name is taken.
    """
    for recipe in recipes:
        if not isinstance(recipe, Recipe):
            raise TypeError(f"expected a pixelwise.Recipe; got a {type(recipe).__name__}")
        RECIPES.add(recipe.name, recipe)
    return recipes


class _ThirdParty(NamedTuple):
    """The recipes of other packages, and the names that several of them claim."""

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
                warn("W241", f"recipe '{name}' of {plugin} is not used: the one of {place} has that name", _RENAME)
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


def _claimed(plugins: tuple[Plugin, Plugin]) -> str:
    return f"{plugins[0]} and {plugins[1]}"


def list_recipes(pattern: str = "") -> list[str]:
    """Names of the recipes: the published rows page by page, then our own, then those of other packages.

    Of a package that cannot be imported, and of a name that is taken, there is a `PixelwiseWarning` instead.

    Args:
        pattern: Only names that contain this text, in small letters or capitals.
    """
    own = RECIPES.own()
    paged = sorted(own, key=lambda name: published.page if (published := own[name].published) else "~")
    names = dict.fromkeys([*paged, *RECIPES.all(), *_third_party().recipes])
    return [name for name in names if pattern.lower() in name.lower()]


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: R200, there is no such recipe (with the nearest names); R233, two packages claim the name.
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
            "`pixelwise recipes` lists all, and those of another package need that package installed; "
            "a recipe file must end in .toml",
        )
    return found
