"""Everything a report needs from a run folder, read in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import CheckpointError
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts, read_data_facts
from pixelwise.records.details import ImageDetails, SavedSamples, load_details, load_samples
from pixelwise.records.environment import Environment, read_environment
from pixelwise.records.evaluations import SAMPLES, read_evaluations
from pixelwise.records.history import History, read_history
from pixelwise.records.log import Log, read_log
from pixelwise.records.result import ImageScore, Result
from pixelwise.records.run_folder import CHECKPOINTS, read_recipe
from pixelwise.records.standing import Standing, standing_of
from pixelwise.records.suspects import Suspect, load_suspects
from pixelwise.storage.locks import is_run_held


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation of a run.

    Attributes:
        folder: Its folder below `evaluations/`.
        per_image: The score of each image.
        samples: The saved sample images; None if there are none.
        details: Counts of each image; empty in results of earlier versions.
        suspects: Regions where the network is sure and the labels differ; None if they were not looked for.
    """

    folder: Path
    result: Result
    per_image: tuple[ImageScore, ...]
    samples: SavedSamples | None
    details: tuple[ImageDetails, ...] = ()
    suspects: tuple[Suspect, ...] | None = None


class RunRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a run folder.

    Attributes:
        recipe: Resolved recipe.
        environment: Command, machine and package versions of the training run.
        history: Parts of the run that were trained under another recipe.
        data: Facts about the training data.
        evaluations: The headline evaluation first, then the others by name.
        training_seconds: Training time including all resumes; None if no checkpoint records it.
        standing: Whether the run has finished, and where it stopped if not.
    """

    folder: Path
    recipe: Recipe
    environment: Environment
    history: History
    data: DataFacts
    log: Log
    evaluations: tuple[Evaluated, ...]
    training_seconds: float | None
    standing: Standing


def read_run(folder: Path) -> RunRecords:
    """Read a run folder, finished or not.

    Raises:
        CheckpointError: K420, `folder` is not a run folder; K423, one of its files is damaged.
        DataError: D240, a file of an evaluation is damaged.
        RecipeError: The run's recipe is not valid in this version.
    """
    recipe, data, log = read_recipe(folder), read_data_facts(folder), read_log(folder)
    saved, progress = _newest(folder / CHECKPOINTS)
    seconds = progress.get("seconds")
    standing = standing_of(
        log, saved=saved, trained=bool(progress), steps=data.planned_steps(recipe), held=is_run_held(folder)
    )
    return RunRecords(
        folder=folder,
        recipe=recipe,
        environment=read_environment(folder),
        history=read_history(folder),
        data=data,
        log=log,
        evaluations=_evaluations(folder, recipe),
        training_seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        standing=standing,
    )


def _evaluations(folder: Path, recipe: Recipe) -> tuple[Evaluated, ...]:
    """The headline first: the run's own data under the recipe's first protocol; other data comes last."""
    headline = (recipe.evaluation.split, recipe.evaluation.protocols[0])
    found = [
        Evaluated(
            folder=one.folder,
            result=one.result,
            per_image=one.per_image,
            samples=load_samples(one.folder / SAMPLES),
            details=load_details(one.folder),
            suspects=load_suspects(one.folder),
        )
        for one in read_evaluations(folder)
    ]

    def place(one: Evaluated) -> tuple[object, ...]:
        result = one.result
        # Results of earlier versions do not say whose data they are of.
        own = {True: 0, None: 1, False: 2}[result.own_data]
        return own == 2, (result.split, result.protocol) != headline, bool(result.variant), own

    return tuple(sorted(found, key=place))


def _newest(folder: Path) -> tuple[int | None, dict[str, Any]]:
    """Step and training progress of the newest checkpoint; no progress for weights that were not trained here."""
    try:
        checkpoint = newest_checkpoint(folder)
    except CheckpointError:
        return None, {}
    if checkpoint is None:
        return None, {}
    progress = checkpoint.state().get("progress")
    return checkpoint.step, progress if isinstance(progress, dict) else {}
