"""Runs, artefacts and cross-validations that are compared, and the question that all of them have answered."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.evaluation.comparison.answers import Answer, Subject, evaluations_of, scores_out_of_fold
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.evaluation.comparison.refusals import incomparable, not_asked, refuse_other_classes
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.files import find
from pixelwise.recipes.schema.recipe import Recipe, Role, with_fields_of
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.evaluations import question
from pixelwise.records.folds.cross_validation import (
    OUT_OF_FOLD,
    FoldRuns,
    is_cross_validation,
    read_cross_validation,
)
from pixelwise.records.history import HISTORY
from pixelwise.records.result import Result
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes import is_artefact
from pixelwise.storage import printable, sha256_file
from pixelwise.storage.names import counted
from pixelwise.views import names_in_words


def read_subject(path: Path) -> Subject:
    """A run, an artefact or a cross-validation, and its results.

    Raises:
        CheckpointError: K420, it is none of them; K421, a fold has not been trained and scored.
        RecipeError: Its recipe cannot be read.
        DataError: D240, one of its results is damaged.
    """
    if is_artefact(path):
        folder = path if path.is_dir() else path.parent
        return Subject(path, (os.path.realpath(folder),), None, None, evaluations_of(folder))
    if is_cross_validation(path):
        return _cross_validation(path)
    recipe = read_recipe(path)
    kind = (_without_chance(recipe), read_data_facts(path).fingerprint, _past(path))
    return Subject(path, kind, recipe.sampling.seed, recipe, evaluations_of(path))


def common_answers(subjects: Sequence[Subject], options: CompareOptions) -> list[Answer]:
    """The answers of all subjects to one question: to the first of those of the first subject that all have answered.

    One for which their classes or labelled pixels differ is taken only if all are such: whoever has scored them anew,
    so that they agree, has the other results still.

    Raises:
        RecipeError: R301, they were not scored on the same split under the same protocol; R302, not on the same images
            and masks; R303, their classes are not the same.
    """
    first = subjects[0]
    wanted = [result for result in _preferred(first) if options.is_about(result)]
    if not wanted:
        raise not_asked(first, options)
    common = []
    for result in wanted:
        found = [_answer(subject, result) for subject in subjects]
        answers = [one for one in found if one is not None]
        if len(answers) == len(subjects):
            common.append(answers)
    if common:
        chosen = next(filter(_same_labels, common), common[0])
        refuse_other_classes(chosen)
        return chosen
    result = wanted[0]
    lacking = next(subject for subject in subjects if _answer(subject, result) is None)
    raise incomparable(first, result, lacking, options)


def _same_labels(answers: Sequence[Answer]) -> bool:
    """Whether answers are of as many images, the same classes, and as many labelled pixels of each."""
    labels = [(one.result.images, {entry.name: entry.pixels for entry in one.result.per_class}) for one in answers]
    return all(one == labels[0] for one in labels)


def _cross_validation(folder: Path) -> Subject:
    asked = read_cross_validation(folder)
    runs = FoldRuns(folder, asked)
    unscored = [fold for fold in runs.names if runs.results(fold) is None]
    if unscored:
        raise CheckpointError(
            "K421",
            f"{printable(folder)}: {names_in_words(unscored)} of its {counted(asked.folds, 'fold')} "
            f"{'is' if len(unscored) == 1 else 'are'} not trained and scored",
            f"continue with: pixelwise resume {shlex.quote(printable(folder))}",
        )
    recipe = read_recipe(runs.folders[0])
    group = asked.options.get("group")
    kind = (_without_chance(recipe), asked.fingerprint, *map(_past, runs.folders), group)
    of_all = msgspec.structs.replace(recipe.evaluation, split=OUT_OF_FOLD)
    return Subject(
        folder=folder,
        kind=kind,
        seed=recipe.sampling.seed,
        recipe=msgspec.structs.replace(recipe, evaluation=of_all),
        answers=(*scores_out_of_fold(runs, asked), *evaluations_of(folder)),
        folds=tuple(runs.folders),
        group=group,
    )


def _without_chance(recipe: Recipe) -> str:
    # Neither what the recipe is called nor where and by how many workers it was run is a part of what was trained.
    nameless = msgspec.structs.replace(recipe, name="-")
    return with_fields_of(nameless, find(DEFAULT_RECIPE), Role.CHANCE, Role.TOLERANCE).hash()


def _past(run: Path) -> str:
    """Hash of a run's earlier recipes: a run that was resumed with another schedule is one of its own."""
    history = run / HISTORY
    return sha256_file(history) if history.is_file() else ""


def _preferred(subject: Subject) -> list[Result]:
    """Its results: those that its recipe asks for first, those on other data last."""
    asked = () if subject.recipe is None else subject.recipe.evaluation.protocols

    def place(result: Result) -> tuple[bool, bool, int]:
        number = asked.index(result.protocol) if result.protocol in asked else len(asked)
        return result.own_data is False or bool(result.variant), result.split != subject.split, number

    return sorted((one.result for one in subject.answers), key=place)


def _answer(subject: Subject, result: Result) -> Answer | None:
    return next((Answer(subject, *one) for one in subject.answers if question(one.result) == question(result)), None)
