"""Everything a report needs from a run folder, read in one go."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import CheckpointError
from pixelwise.evaluation.gallery import SavedSamples, load_samples
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts, read_data_facts
from pixelwise.records.environment import Environment, read_environment
from pixelwise.records.evaluations import SAMPLES, read_evaluations
from pixelwise.records.history import History, read_history
from pixelwise.records.log import Log, read_log
from pixelwise.records.result import ImageScore, Result
from pixelwise.records.run_folder import CHECKPOINTS, read_recipe


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation of a run.

    Attributes:
        folder: Its folder below `evaluations/`.
        per_image: The score of each image.
        samples: The saved sample images; None if there are none.
    """

    folder: Path
    result: Result
    per_image: tuple[ImageScore, ...]
    samples: SavedSamples | None


class RunRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a run folder.

    Attributes:
        recipe: Resolved recipe.
        environment: Command, machine and package versions of the training run.
        history: Parts of the run that were trained under another recipe.
        data: Facts about the training data.
        evaluations: The headline evaluation first, then the others by name.
        training_seconds: Training time including all resumes; None if no checkpoint records it.
    """

    folder: Path
    recipe: Recipe
    environment: Environment
    history: History
    data: DataFacts
    log: Log
    evaluations: tuple[Evaluated, ...]
    training_seconds: float | None


def read_run(folder: Path) -> RunRecords:
    """Read a run folder, finished or not.

    Raises:
        CheckpointError: K420, `folder` is not a run folder; K423, one of its files is damaged.
        DataError: D240, a file of an evaluation is damaged.
        RecipeError: The run's recipe is not valid in this version.
    """
    recipe = read_recipe(folder)
    return RunRecords(
        folder=folder,
        recipe=recipe,
        environment=read_environment(folder),
        history=read_history(folder),
        data=read_data_facts(folder),
        log=read_log(folder),
        evaluations=_evaluations(folder, recipe),
        training_seconds=_training_seconds(folder / CHECKPOINTS),
    )


def _evaluations(folder: Path, recipe: Recipe) -> tuple[Evaluated, ...]:
    headline = (recipe.evaluation.split, recipe.evaluation.protocols[0])
    found = [
        Evaluated(
            folder=one.folder,
            result=one.result,
            per_image=one.per_image,
            samples=load_samples(one.folder / SAMPLES),
        )
        for one in read_evaluations(folder)
    ]
    return tuple(sorted(found, key=lambda one: (one.result.split, one.result.protocol) != headline))


def _training_seconds(folder: Path) -> float | None:
    try:
        checkpoint = newest_checkpoint(folder)
    except CheckpointError:
        return None
    if checkpoint is None:
        return None
    seconds = checkpoint.state().get("progress", {}).get("seconds")
    return float(seconds) if isinstance(seconds, (int, float)) else None
