"""The run folder: names of its files, and its recipe."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.machine.launched import launch, restarts
from pixelwise.plugins import missing_packages
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import Color, class_set
from pixelwise.recipes.overrides import from_plain, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import read_environment
from pixelwise.records.folds.division import DIVISION
from pixelwise.storage import building_folder, portable, printable, write_text
from pixelwise.storage.documents import DocumentError, read_toml

RECIPE = "recipe.toml"
CHECKPOINTS = "checkpoints"
REPORT = "report.html"
REPORT_FILES = "report_files"
"""Folder of what `report.html` loads, if not everything is in it."""
LIVE = "live.html"
PROVENANCE = "provenance.json"
"""Of imported weights: where they come from, and their licence."""
SEEDS = "seeds.json"
"""File of a folder that holds the runs of several seeds, instead of a recipe."""
CROSSVAL = "crossval.json"
"""The same of a folder that holds the runs of a cross-validation."""


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder or holds imported weights, both of which contain a recipe."""
    return (folder / RECIPE).is_file()


def is_continued(run: Path) -> bool:
    """Whether a launcher has started this process to go on with a run that processes before it have begun.

    Where another host has failed or joined, `torchrun` starts the processes of this one again without counting it.
    """
    return is_run(run) and bool(restarts() or (launch() and read_environment(run).launch == launch()))


def has_checkpoints(run: Path) -> bool:
    """Whether a run has saved checkpoints, intact or damaged."""
    return any((run / CHECKPOINTS).glob("step-*"))


def several_runs(folder: Path) -> str:
    """What a folder holds instead of a single run: `runs of several seeds`, `a cross-validation`, or nothing."""
    if (folder / SEEDS).is_file():
        return "runs of several seeds"
    return "a cross-validation" if (folder / CROSSVAL).is_file() else ""


def refuse_occupied(folder: Path) -> None:
    """Refuse a folder for new runs that holds one already, or several.

    Raises:
        RecipeError: R213.
    """
    several = several_runs(folder)
    if several or is_run(folder) or has_checkpoints(folder):
        raise RecipeError(
            "R213",
            f"{printable(folder)} already holds {several or 'a run'}",
            f"continue it with `pixelwise resume {shlex.quote(printable(folder))}`, or choose another `output`",
        )


def new_run_folder(recipe_name: str) -> Path:
    """`runs/NAME-1`, or the same with the next free number."""
    stem = Path(recipe_name).stem if recipe_name.endswith(".toml") else recipe_name
    number = 1
    while (folder := Path("runs") / portable(f"{stem}-{number}")).exists():
        number += 1
    return folder


def read_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run.

    Raises:
        CheckpointError: K420, the folder is not a run folder; the help says which folder is.
        RecipeError: R205, the file cannot be read; R202, R203 and others, the recipe is not valid in this version;
            R273, it uses plug-ins of packages that are not installed here.
    """
    path = run / RECIPE
    if not path.is_file():
        raise _no_run(run)
    try:
        with naming_missing_packages(run):
            return from_plain(read_toml(path), printable(path))
    except DocumentError as error:
        raise RecipeError("R205", error.message, "restore the file") from error


def _no_run(folder: Path) -> CheckpointError:
    several, where = several_runs(folder), printable(folder)
    if several:
        runs = sorted(path.parent for path in folder.glob(f"*/{RECIPE}"))
        trained = next(filter(has_checkpoints, runs), None)
        way = f"continue with: pixelwise resume {shlex.quote(where)}"
        if trained is not None:
            way = f"name one of its runs, such as {printable(trained)}"
            if (folder / CROSSVAL).is_file():
                way += f"; all of them together predict: pixelwise predict {shlex.quote(where)} IMAGES"
        return CheckpointError("K420", f"{where} is not a run folder: it holds {several}", way)
    if (folder / DIVISION).is_file():
        begin = f"begin it with: pixelwise resume {shlex.quote(printable(folder.parent))}"
        return CheckpointError("K420", f"{where} is not a run folder: the training of this fold has not begun", begin)
    reason = f"it has no {RECIPE}" if folder.exists() else "it does not exist"
    help = "name the folder that `pixelwise train` created"
    return CheckpointError("K420", f"{where} is not a run folder: {reason}", help)


@contextlib.contextmanager
def naming_missing_packages(run: Path) -> Iterator[None]:
    """Context in which an error of the recipe names the run's packages that are not installed here.

    Raises:
        RecipeError: R273, packages are missing; the original error if none are.
    """
    try:
        yield
    except RecipeError as error:
        missing = _missing_packages(run)
        if not missing or error.code == "R273":
            raise
        raise RecipeError(
            "R273",
            f"{printable(run)} was trained with packages that are not installed here: {error.message}",
            f"pip install {' '.join(missing)}",
        ) from error


def write_recipe(run: Path, recipe: Recipe) -> None:
    """Write the resolved recipe. In a new folder it is written last: if it exists, the other files are complete."""
    write_text(run / RECIPE, to_toml(recipe))


def write_page(run: Path, page: str, files: Mapping[str, bytes] | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run: The run folder.
        page: The report as HTML.
        files: Files that the page loads, by name, for the folder `report_files` beside it; those of an older report
            are removed.

    Raises:
        ResourceError: S601, the disk is full.
    """
    if files:
        with building_folder(
            run / REPORT_FILES, existing="replace", needed_bytes=sum(map(len, files.values()))
        ) as folder:
            for name, data in files.items():
                (folder / name).write_bytes(data)
    write_text(run / REPORT, page)
    if not files and (run / REPORT_FILES).is_dir():
        shutil.rmtree(run / REPORT_FILES, ignore_errors=True)
    return run / REPORT


def palette_of(recipe: Recipe) -> tuple[Color, ...]:
    """The class colours: the recipe's own, else the data set's official ones, else a colour-blind-safe palette."""
    if recipe.data.palette is not None:
        return recipe.data.palette
    names = recipe.data.class_names() or ()
    known = class_set(recipe.data.dataset)
    return known.palette if known and known.names == names else colorblind_palette(len(names))


def _missing_packages(run: Path) -> list[str]:
    """Pip requirements of the missing packages whose plug-ins the run used."""
    try:
        return missing_packages(read_environment(run).plugins)
    except PixelwiseError:
        return []
