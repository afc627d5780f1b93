"""The run folder: the names of its files, and the recipe in it. Reading it never imports torch."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.classes.palettes import colorblind_palette
from pixelwise.recipes.classes.tables import CLASS_SETS, Color
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable

RECIPE = "recipe.toml"


ENVIRONMENT = "environment.json"


DATA = "data.json"


LOG = "log.jsonl"


CHECKPOINTS = "checkpoints"


EVALUATIONS = "evaluations"


REPORT = "report.html"


def read_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run.

    Raises:
        CheckpointError: K420, the folder is not a run.
        RecipeError: R202 or R203, its recipe is not one of this version.
    """
    path = run / RECIPE
    if not path.is_file():
        reason = f"it has no {RECIPE}" if run.exists() else "it does not exist"
        raise CheckpointError(
            "K420",
            f"{printable(run)} is not a run folder: {reason}",
            "give the folder that was --output of `pixelwise train`",
        )
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError("R205", f"{printable(path)}: {error}", "restore the file") from error
    return from_plain(plain, printable(path))


def palette_of(recipe: Recipe) -> tuple[Color, ...]:
    """The recipe's colours: its own, else the data set's official ones, else colour-blind-safe ones."""
    if recipe.data.palette is not None:
        return recipe.data.palette
    names = recipe.data.class_names() or ()
    known = CLASS_SETS.get(recipe.data.dataset)
    return known.palette if known and known.names == names else colorblind_palette(len(names))
