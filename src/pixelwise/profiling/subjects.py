"""The recipe to profile, given as a recipe name, a recipe file or a run folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pixelwise.checkpoints.hub.resolving import here
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import is_run, read_recipe, several_runs

CLASSES = 19
"""Number of classes if neither recipe nor user states it: that of Cityscapes, which most published tables use."""


def recipe_of(model: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a name, a `.toml` file or a run folder.

    Raises:
        RecipeError: There is no such recipe, or `overrides` are invalid.
    """
    model = here(model)
    folder = Path(model)
    found = read_recipe(folder) if is_run(folder) or several_runs(folder) else find(os.fspath(model))
    return apply_overrides(found, list(overrides))


def classes_of(recipe: Recipe, asked: int | None) -> int | None:
    """Number of classes to build a network with for profiling; None if the recipe states it.

    Args:
        recipe: The recipe to profile.
        asked: Number that the user gave, if any.
    """
    return CLASSES if asked is None and recipe.data.class_names() is None else asked
