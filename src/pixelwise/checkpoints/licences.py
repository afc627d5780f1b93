"""The licences of a run: of its weights and its code, with the networks that the weights were derived from."""

from __future__ import annotations

from pathlib import Path

from pixelwise.checkpoints.import_folder import licence_of_weights
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Licence, read_environment


def code_licence(recipe: Recipe) -> str:
    """Licence of the original code that the network of a recipe follows."""
    return recipe.published.code_licence if recipe.published is not None else "Apache-2.0"


def licence_of_run(run: Path, recipe: Recipe) -> Licence:
    """The licences of a run.

    Args:
        run: A run folder or a folder of imported weights.
        recipe: Its recipe.

    Raises:
        CheckpointError: K423, `environment.json` is damaged.
    """
    derived = read_environment(run).derived_from
    return Licence(weights=licence_of_weights(run), code=code_licence(recipe), derived_from=derived)
