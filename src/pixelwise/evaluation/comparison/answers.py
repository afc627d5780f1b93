"""What is compared, its scores, and its answer to the question of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pixelwise.evaluation.folds.pooling import pooled_result
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.evaluations import evaluation_folder, result_files
from pixelwise.records.folds.cross_validation import OUT_OF_FOLD, CrossValidation, FoldRuns
from pixelwise.records.folds.division import HELD_OUT
from pixelwise.records.result import Result, load_result


class Scored(NamedTuple):
    """A result, and the evaluations that it is made up of.

    Attributes:
        result: The result.
        parts: Folder and result of each evaluation, whose counts add up to those of the result: one for each fold of a
            cross-validation, else the result itself.
    """

    result: Result
    parts: tuple[tuple[Path, Result], ...]


class Subject(NamedTuple):
    """A run, an exported artefact or a cross-validation.

    Attributes:
        folder: Its path.
        kind: What it has in common with other ones of the same recipe, whatever their seeds; the path of an artefact.
        seed: Its seed; None for an artefact.
        recipe: Its recipe; None for an artefact.
        answers: Its scores.
        folds: The run folders of a cross-validation.
        group: The groups that its folds do not divide, as `CompareOptions.group`; None for no such pattern.
    """

    folder: Path
    kind: tuple[Any, ...]
    seed: int | None
    recipe: Recipe | None
    answers: tuple[Scored, ...]
    folds: tuple[Path, ...] = ()
    group: str | None = None

    @property
    def split(self) -> str:
        """The split that its recipe scores."""
        return "val" if self.recipe is None else self.recipe.evaluation.split

    @property
    def protocol(self) -> str:
        """The first protocol of its recipe."""
        return "native" if self.recipe is None else self.recipe.evaluation.protocols[0]


class Answer(NamedTuple):
    """The answer of a subject to the question of the comparison.

    Attributes:
        subject: Who answers.
        result: Its result.
        parts: Folder and result of the evaluations that it is made up of; see `Scored`.
    """

    subject: Subject
    result: Result
    parts: tuple[tuple[Path, Result], ...]

    @property
    def is_out_of_fold(self) -> bool:
        """Whether every image was scored by the network of a cross-validation that has not seen it."""
        return bool(self.subject.folds) and self.result.split == OUT_OF_FOLD


def scored_alone(folder: Path, result: Result) -> Scored:
    """A result that is made up of no others.

    Args:
        folder: Folder of the evaluation.
        result: Its result.
    """
    return Scored(result, ((folder, result),))


def evaluations_of(folder: Path) -> tuple[Scored, ...]:
    """The evaluations of a run, of an artefact, or of the ensemble of a cross-validation.

    Raises:
        DataError: D240, a result is damaged.
    """
    return tuple(scored_alone(file.parent, load_result(file)) for file in result_files(folder))


def scores_out_of_fold(runs: FoldRuns, asked: CrossValidation) -> tuple[Scored, ...]:
    """The scores of all images by the networks that have not seen them, as far as all folds were scored alike.

    Args:
        runs: The runs of a cross-validation.
        asked: The content of its `crossval.json`.

    Raises:
        DataError: D240, a result is damaged.
    """
    of_folds = [_held_out(run) for run in runs.folders]
    joint = [key for key in of_folds[0] if all(key in found for found in of_folds)]
    return tuple(_pooled([found[key] for found in of_folds], asked.fingerprint) for key in joint)


def _held_out(run: Path) -> dict[tuple[str, str], tuple[Path, Result]]:
    """Protocol and options -> folder and result of a fold on what it holds out."""
    known: dict[tuple[str, str], tuple[Path, Result]] = {}
    scored = [(file.parent, load_result(file)) for file in result_files(run)]
    # Of data that has changed since, such as corrected masks, there is a score beside the usual one, which counts:
    # that of the other folds is of the masks as they were.
    for folder, result in sorted(
        scored, key=lambda one: one[0] != evaluation_folder(run, one[1].split, one[1].protocol)
    ):
        if result.split == HELD_OUT and result.own_data is not False:
            known.setdefault((result.protocol, result.variant), (folder, result))
    return known


def _pooled(parts: list[tuple[Path, Result]], fingerprint: str) -> Scored:
    return Scored(pooled_result([result for _, result in parts], fingerprint), tuple(parts))
