"""Trainings that come before a recipe's own, each in a run folder of its own: RUN/stages/NAME."""

from __future__ import annotations

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
    """Let errors of a stage's recipe say which stage it is."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(
            error.code,
            f"stage '{name}': {error.message}",
            f"{error.help}; what a stage has of its own is in `stages`",
        ) from error


def last_stage(recipe: Recipe) -> str | None:
    """The folder, relative to the run's, of the stage that the recipe itself begins with; None: it has no stages."""
    return f"{STAGES}/{recipe.stages[-1].name}" if recipe.stages else None


def run_stages(
    recipe: Recipe, run: Path, begin: Callable[[Recipe, Path, str | None], object], go_on: Callable[[Path], object]
) -> None:
    """Bring every stage to its end; those that are over only find that out.

    Args:
        recipe: With its stages.
        run: Its run folder.
        begin: Starts a stage: its recipe, its folder and the one, relative to that, whose result it begins with.
        go_on: Continues a stage that has begun.

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
                f"continue with: pixelwise resume {printable(run)}",
                exit_code=stopped.exit_code,
            ) from None
        before = f"../{stage.name}"
