"""What a run folder says about its run: everything a report needs, and nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import CheckpointError
from pixelwise.evaluation.gallery import SavedSamples, load_samples
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.result import RESULT, ImageScore, Result, load_per_image, load_result
from pixelwise.records.run_folder import CHECKPOINTS, DATA, ENVIRONMENT, EVALUATIONS, LOG, read_recipe

SAMPLES_FOLDER = "samples"


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """One folder below `evaluations/`.

    Attributes:
        folder: The folder.
        result: Its `result.json`.
        per_image: Its `per_image.csv`.
        samples: Its pictures; None when there are none.
    """

    folder: Path
    result: Result
    per_image: tuple[ImageScore, ...]
    samples: SavedSamples | None


class RunRecords(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder, read.

    Attributes:
        folder: The run folder.
        recipe: Its resolved recipe.
        environment: Content of `environment.json`; empty when missing.
        data: Content of `data.json`; empty when missing.
        log: Records of `log.jsonl` in order.
        evaluations: The headline first, the others by name.
        training_seconds: Time spent training, over all resumes; None when no checkpoint tells.
    """

    folder: Path
    recipe: Recipe
    environment: dict[str, Any]
    data: dict[str, Any]
    log: tuple[dict[str, Any], ...]
    evaluations: tuple[Evaluated, ...]
    training_seconds: float | None

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The log's records of one kind: `step`, `evaluation`, `warning`, `resume`, `skipped`."""
        return [record for record in self.log if record.get("kind") == kind]


def read_run(folder: Path) -> RunRecords:
    """Read a run folder, finished or not.

    Raises:
        CheckpointError: K420, it is not a run folder.
        DataError: D240, a file of an evaluation is damaged.
        RecipeError: Its recipe is not one of this version.
    """
    recipe = read_recipe(folder)
    return RunRecords(
        folder=folder,
        recipe=recipe,
        environment=_json_object(folder / ENVIRONMENT),
        data=_json_object(folder / DATA),
        log=tuple(_log_records(folder / LOG)),
        evaluations=_evaluations(folder / EVALUATIONS, recipe),
        training_seconds=_training_seconds(folder / CHECKPOINTS),
    )


def _evaluations(folder: Path, recipe: Recipe) -> tuple[Evaluated, ...]:
    headline = (recipe.evaluation.split, recipe.evaluation.protocols[0])
    found = []
    for file in sorted(folder.glob(f"*/{RESULT}")):
        found.append(
            Evaluated(
                folder=file.parent,
                result=load_result(file),
                per_image=load_per_image(file.parent),
                samples=load_samples(file.parent / SAMPLES_FOLDER),
            )
        )
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


def _log_records(path: Path) -> Sequence[dict[str, Any]]:
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        # The last line of a run that was killed, or still writes, may be incomplete.
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return content if isinstance(content, dict) else {}
