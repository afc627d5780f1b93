"""The run folder: the names of its files, and the recipe in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.plugins import missing_packages
from pixelwise.recipes.classes.palettes import colorblind_palette
from pixelwise.recipes.classes.tables import CLASS_SETS, Color
from pixelwise.recipes.overrides import from_plain, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import read_environment
from pixelwise.storage import portable, printable, write_text

RECIPE = "recipe.toml"
CHECKPOINTS = "checkpoints"
REPORT = "report.html"


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder, or one of imported weights: whether it holds a recipe."""
    return (folder / RECIPE).is_file()


def has_checkpoints(run: Path) -> bool:
    """Whether a run saved anything, damaged or not."""
    return any((run / CHECKPOINTS).glob("step-*"))


def new_run_folder(recipe_name: str) -> Path:
    """`runs/NAME-1`, or the next number that is free."""
    stem = Path(recipe_name).stem if recipe_name.endswith(".toml") else recipe_name
    number = 1
    while (folder := Path("runs") / portable(f"{stem}-{number}")).exists():
        number += 1
    return folder


def read_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run.

    Raises:
        CheckpointError: K420, the folder is not a run.
        RecipeError: R202, R203 and others, the recipe is not one of this version; R273, it names something that a
            package adds which the run used and which is not installed here.
    """
    path = run / RECIPE
    if not path.is_file():
        reason = f"it has no {RECIPE}" if run.exists() else "it does not exist"
        raise CheckpointError(
            "K420",
            f"{printable(run)} is not a run folder: {reason}",
            "give the folder that `pixelwise train` made",
        )
    try:
        return from_plain(tomllib.loads(path.read_text("utf-8")), printable(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError("R205", f"{printable(path)}: {error}", "restore the file") from error
    except RecipeError as error:
        missing = _missing_packages(run)
        if not missing:
            raise
        raise RecipeError(
            "R273",
            f"{printable(run)} was trained with packages that are not installed here: {error.message}",
            f"pip install {' '.join(missing)}",
        ) from error


def write_recipe(run: Path, recipe: Recipe) -> None:
    """Write the resolved recipe. It comes last in a new folder: where it is, the other files are complete."""
    write_text(run / RECIPE, to_toml(recipe))


def write_page(run: Path, page: str) -> Path:
    """Write the report of a run; returns its path.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(run / REPORT, page)
    return run / REPORT


def palette_of(recipe: Recipe) -> tuple[Color, ...]:
    """The recipe's colours: its own, else the data set's official ones, else colour-blind-safe ones."""
    if recipe.data.palette is not None:
        return recipe.data.palette
    names = recipe.data.class_names() or ()
    known = CLASS_SETS.get(recipe.data.dataset)
    return known.palette if known and known.names == names else colorblind_palette(len(names))


def _missing_packages(run: Path) -> list[str]:
    """The packages whose plug-ins the run used and which are not installed, as pip takes them."""
    try:
        return missing_packages(read_environment(run).plugins)
    except PixelwiseError:
        return []
