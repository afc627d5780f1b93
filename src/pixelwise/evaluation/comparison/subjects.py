"""What is compared: runs and artefacts with their results, and the question that all of them have answered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.recipes.overrides import flat_fields
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.evaluations import question, result_files
from pixelwise.records.history import HISTORY
from pixelwise.records.result import Result, load_result
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes import is_artefact
from pixelwise.storage import printable, sha256_file

_NO_FIELDS = ("name", "summary", "notes", "published")
"""Fields of a recipe that describe it and change nothing."""
_SEED = "sampling.seed"


class Subject(NamedTuple):
    """A run or an exported artefact.

    Attributes:
        folder: Its path.
        kind: What it has in common with other runs of the same recipe, whatever their seeds; the path of an artefact.
        seed: Its seed; None for an artefact.
        recipe: Its recipe; None for an artefact.
        answers: The folder and the result of each evaluation.
    """

    folder: Path
    kind: tuple[Any, ...]
    seed: int | None
    recipe: Recipe | None
    answers: tuple[tuple[Path, Result], ...]


class Answer(NamedTuple):
    """The answer of a subject to the question of the comparison.

    Attributes:
        subject: Who answers.
        folder: Folder of the evaluation.
        result: Its result.
    """

    subject: Subject
    folder: Path
    result: Result


def read_subject(path: Path) -> Subject:
    """A run or an artefact, and its results.

    Raises:
        CheckpointError: K420, it is neither.
        RecipeError: Its recipe cannot be read.
        DataError: D240, one of its results is damaged.
    """
    if is_artefact(path):
        folder = path if path.is_dir() else path.parent
        return Subject(path, (os.path.abspath(path),), None, None, _answers(folder))
    recipe = read_recipe(path)
    fields = {name: value for name, value in flat_fields(recipe).items() if name.split(".")[0] not in _NO_FIELDS}
    fields.pop(_SEED, None)
    history = path / HISTORY
    # A run that was resumed with another schedule is one of its own.
    past = sha256_file(history) if history.is_file() else ""
    kind = (msgspec.json.encode(fields), read_data_facts(path).fingerprint, past)
    return Subject(path, kind, recipe.sampling.seed, recipe, _answers(path))


def common_answers(subjects: Sequence[Subject], options: CompareOptions) -> list[Answer]:
    """The answers of all subjects to one question: to the first of those of the first subject that all have answered.

    Raises:
        RecipeError: R301, they were not scored on the same split under the same protocol; R302, not on the same images
            and masks; R303, their classes are not the same.
    """
    first = subjects[0]
    wanted = [one for one in _preferred(first) if _is_asked(one[1], options)]
    if not wanted:
        split, protocol = options.split or _split_of(first), options.protocol or _protocol_of(first)
        state = f"{printable(first.folder)} is not scored on {split} under {protocol}"
        raise _not_scored(first, split, protocol, state, "")
    for _, result in wanted:
        found = [_answer(subject, result) for subject in subjects]
        answers = [one for one in found if one is not None]
        if len(answers) == len(subjects):
            _refuse_other_classes(answers)
            return answers
    result = wanted[0][1]
    lacking = next(subject for subject in subjects if _answer(subject, result) is None)
    raise _incomparable(first, result, lacking, options)


def _answers(folder: Path) -> tuple[tuple[Path, Result], ...]:
    return tuple((file.parent, load_result(file)) for file in result_files(folder))


def _preferred(subject: Subject) -> list[tuple[Path, Result]]:
    """Its answers: those that its recipe asks for first, those on other data last."""
    asked = () if subject.recipe is None else subject.recipe.evaluation.protocols
    split = _split_of(subject)

    def place(one: tuple[Path, Result]) -> tuple[bool, bool, int]:
        result = one[1]
        number = asked.index(result.protocol) if result.protocol in asked else len(asked)
        return result.own_data is False or bool(result.variant), result.split != split, number

    return sorted(subject.answers, key=place)


def _split_of(subject: Subject) -> str:
    return "val" if subject.recipe is None else subject.recipe.evaluation.split


def _protocol_of(subject: Subject) -> str:
    return "native" if subject.recipe is None else subject.recipe.evaluation.protocols[0]


def _is_asked(result: Result, options: CompareOptions) -> bool:
    return options.split in (None, result.split) and options.protocol in (None, result.protocol)


def _answer(subject: Subject, result: Result) -> Answer | None:
    return next((Answer(subject, *one) for one in subject.answers if question(one[1]) == question(result)), None)


def _incomparable(first: Subject, result: Result, other: Subject, options: CompareOptions) -> RecipeError:
    """What keeps a subject from being compared with the first one, and the command that makes them comparable."""
    names = printable(first.folder), printable(other.folder)
    asked = f"on {result.split} under {result.protocol}"
    same = [one for _, one in other.answers if (one.split, one.protocol) == (result.split, result.protocol)]
    if not same:
        others = [f"on {one.split} under {one.protocol}" for _, one in other.answers if _is_asked(one, options)]
        state = f"scored {' and '.join(dict.fromkeys(others))} alone" if others else "not scored so"
        if not others and other.answers:
            state = f"scored on {other.answers[0][1].split} under {other.answers[0][1].protocol} alone"
        elsewhere = result.data if _on_other_data(result, other) else ""
        return _not_scored(
            other, result.split, result.protocol, f"{names[0]} is scored {asked}, {names[1]} is {state}", elsewhere
        )
    plain = [one for one in same if one.data_fingerprint == result.data_fingerprint]
    if plain:
        variants = result.variant or "none", plain[0].variant or "none"
        return RecipeError(
            "R301",
            f"{names[0]} and {names[1]} are scored {asked} with other options: {variants[0]} and {variants[1]}",
            f"score both with the same options: `{result.command.replace(names[0], names[1])}`",
        )
    prints = result.data_fingerprint[:8], same[0].data_fingerprint[:8]
    data = f" --data {result.data}" if result.data else ""
    return RecipeError(
        "R302",
        f"{names[0]} and {names[1]} are both scored {asked}, but not on the same images and masks (fingerprints "
        f"{prints[0]} and {prints[1]})",
        f"score both on one data set: `pixelwise evaluate {names[1]}{data} --split {result.split} --protocol "
        f"{result.protocol}`",
    )


def _on_other_data(result: Result, other: Subject) -> bool:
    """Whether a result is not one of the data that another subject was trained on, as far as is known."""
    known = {one.data for _, one in other.answers if one.own_data}
    return other.recipe is None or (bool(result.data) and bool(known) and result.data not in known)


def _not_scored(subject: Subject, split: str, protocol: str, message: str, data: str) -> RecipeError:
    words = f"pixelwise evaluate {printable(subject.folder)}{f' --data {data}' if data else ''}"
    return RecipeError("R301", message, f"score it so first: `{words} --split {split} --protocol {protocol}`")


def _refuse_other_classes(answers: Sequence[Answer]) -> None:
    first = answers[0]
    names = [entry.name for entry in first.result.per_class]
    for other in answers[1:]:
        theirs = [entry.name for entry in other.result.per_class]
        if theirs != names:
            raise RecipeError(
                "R303",
                f"{printable(first.subject.folder)} and {printable(other.subject.folder)} do not have the same "
                f"classes: {_only(names, theirs)}",
                _same_labels(other),
            )


def refuse_other_labels(first: Answer, other: Answer) -> RecipeError:
    """The error of two answers whose images or labelled pixels are not the same, although the files are."""
    pixels = [sum(entry.pixels for entry in one.result.per_class) for one in (first, other)]
    return RecipeError(
        "R303",
        f"{printable(first.subject.folder)} and {printable(other.subject.folder)} were scored on the same files, but "
        f"not on the same labels ({pixels[0]} and {pixels[1]} labelled pixels): the tables that map mask values to "
        "classes, or the sizes at which they were scored, differ",
        _same_labels(other),
    )


def _same_labels(other: Answer) -> str:
    result = other.result
    return (
        "score them with one label table and one size, for example a protocol that does not depend on the network: "
        f"`pixelwise evaluate {printable(other.subject.folder)} --split {result.split} --protocol native "
        "'data.classes=[...]'`"
    )


def _only(mine: Iterable[str], theirs: Iterable[str]) -> str:
    mine, theirs = list(mine), list(theirs)
    here = [name for name in mine if name not in theirs]
    there = [name for name in theirs if name not in mine]
    if not here and not there:
        return f"the order differs ({', '.join(mine[:3])}, ... and {', '.join(theirs[:3])}, ...)"
    return f"{', '.join(here) or 'none'} of the first alone, {', '.join(there) or 'none'} of the second alone"
