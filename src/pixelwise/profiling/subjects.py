"""What a name on the command line means for a profile: a recipe, a recipe file, or a run folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import is_run, read_recipe

CLASSES = 19
"""Classes where neither recipe nor user says how many: those of Cityscapes, for which most of the tables are."""


def recipe_of(model: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a name, a `.toml` file or a run folder means.

    Raises:
        RecipeError: There is none, or `overrides` are wrong.
    """
    folder = Path(model)
    found = read_recipe(folder) if is_run(folder) else find(os.fspath(model))
    return apply_overrides(found, list(overrides))


def classes_of(recipe: Recipe, asked: int | None) -> int | None:
    """How many classes a network has that is only timed; None where the recipe says it."""
    return CLASSES if asked is None and recipe.data.class_names() is None else asked
