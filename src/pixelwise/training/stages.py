"""Training stages before that of the recipe itself, each with its own run folder: RUN/stages/NAME."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError, StoppedError
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe, Stage
from pixelwise.records.run_folder import is_run
from pixelwise.storage import printable

STAGES = "stages"


def stage_recipe(recipe: Recipe, stage: Stage) -> Recipe:
    """The complete recipe of a stage.

    Raises:
        RecipeError: An override of the stage is wrong.
    """
    alone = msgspec.structs.replace(
        recipe,
        name=f"{recipe.name}-{stage.name}",
        summary=f"stage '{stage.name}' of {recipe.name}",
        stages=(),
        published=None,
    )
    return apply_overrides(alone, stage.overrides)


@contextmanager
def naming_stage(name: str) -> Iterator[None]:
    """Name the stage in errors of its recipe."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(
            error.code,
            f"stage '{name}': {error.message}",
            f"{error.help}; the settings of a stage are in `stages`",
        ) from error


def last_stage(recipe: Recipe) -> str | None:
    """Folder, relative to the run folder, of the stage whose weights the run begins with; None without stages."""
    return f"{STAGES}/{recipe.stages[-1].name}" if recipe.stages else None


def run_stages(
    recipe: Recipe, run: Path, begin: Callable[[Recipe, Path, str | None], object], go_on: Callable[[Path], object]
) -> None:
    """Train every stage to its end; a finished one is only resumed, which finds nothing left to do.

    Args:
        recipe: The resolved recipe with its stages.
        run: The run folder.
        begin: Starts a stage, given its recipe, its folder and, relative to that, the folder of the stage before it.
        go_on: Continues a stage that has begun, given its folder.

    Raises:
        StoppedError: A signal stopped a stage; resuming `run` continues it.
    """
    before: str | None = None
    for stage in recipe.stages:
        folder = run / STAGES / stage.name
        try:
            if is_run(folder):
                go_on(folder)
            else:
                begin(stage_recipe(recipe, stage), folder, before)
        except StoppedError as stopped:
            raise StoppedError(
                stopped.code,
                f"stage '{stage.name}': {stopped.message}",
                f"continue with: pixelwise resume {shlex.quote(printable(run))}",
                exit_code=stopped.exit_code,
            ) from None
        before = f"../{stage.name}"
