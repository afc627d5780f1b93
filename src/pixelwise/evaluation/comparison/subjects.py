"""What is compared: runs and artefacts with their results, and the question that all of them have answered."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.files import find
from pixelwise.recipes.schema.recipe import Recipe, Role, with_fields_of
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.evaluations import question, result_files
from pixelwise.records.folds.division import division_of
from pixelwise.records.history import HISTORY
from pixelwise.records.result import Result, load_result
from pixelwise.records.run_folder import CROSSVAL, REPORT, read_recipe
from pixelwise.runtimes import is_artefact
from pixelwise.storage import printable, sha256_file


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
        CheckpointError: K420, it is neither, or it is a cross-validation.
        RecipeError: Its recipe cannot be read.
        DataError: D240, one of its results is damaged.
    """
    if is_artefact(path):
        folder = path if path.is_dir() else path.parent
        return Subject(path, (os.path.realpath(folder),), None, None, _answers(folder))
    if (path / CROSSVAL).is_file():
        raise CheckpointError(
            "K420",
            f"{printable(path)} is a cross-validation: its score is that of several networks, each on other images",
            f"{printable(path / REPORT)} shows it; compare runs that are all scored on the same images, or folds on "
            f"images that none of them was trained on: {_on_unseen(path / 'fold-0')}",
        )
    recipe = read_recipe(path)
    # Neither what the recipe is called nor where and by how many workers it was run is a part of what was trained.
    nameless = msgspec.structs.replace(recipe, name="-")
    same = with_fields_of(nameless, find(DEFAULT_RECIPE), Role.CHANCE, Role.TOLERANCE).hash()
    history = path / HISTORY
    # A run that was resumed with another schedule is one of its own.
    past = sha256_file(history) if history.is_file() else ""
    kind = (same, read_data_facts(path).fingerprint, past)
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
        data = next((one.data for _, one in first.answers if one.own_data is not True), "")
        raise _not_scored(first, split, protocol, state, data)
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
    folds = [one.folder for one in (first, other) if one.recipe is not None and division_of(one.folder) is not None]
    if folds and result.own_data is not False:
        return RecipeError(
            "R302",
            f"{names[0]} and {names[1]} are not scored on the same images: {printable(folds[0])} is a fold of a "
            "cross-validation, which holds images of its own out",
            "score both on images that neither was trained on: "
            + " and ".join(_on_unseen(one.folder) for one in (first, other)),
        )
    asked = f"on {result.split} under {result.protocol}"
    same = [one for _, one in other.answers if (one.split, one.protocol) == (result.split, result.protocol)]
    if not same:
        others = [f"on {one.split} under {one.protocol}" for _, one in other.answers if _is_asked(one, options)]
        state = f"scored {' and '.join(dict.fromkeys(others))} alone" if others else "not scored so"
        if not others and other.answers:
            state = f"scored on {other.answers[0][1].split} under {other.answers[0][1].protocol} alone"
        elsewhere = result.data if _on_other_data(result, other) else ""
        state = f"{names[0]} is scored {asked}, {names[1]} is {state}"
        return _not_scored(other, result.split, result.protocol, state, elsewhere, result.variant)
    plain = [one for one in same if one.data_fingerprint == result.data_fingerprint]
    if plain:
        variants = result.variant or "none", plain[0].variant or "none"
        data = "" if plain[0].own_data else plain[0].data
        return RecipeError(
            "R301",
            f"{names[0]} and {names[1]} are scored {asked} with other options: {variants[0]} and {variants[1]}",
            f"score both with the same options: `{_command(other, result, data)}`",
        )
    # Classes are a part of a data set: with other ones it would never be the same.
    _refuse_other_classes([Answer(one, one.folder, scored) for one, scored in ((first, result), (other, same[0]))])
    prints = result.data_fingerprint[:8], same[0].data_fingerprint[:8]
    return RecipeError(
        "R302",
        f"{names[0]} and {names[1]} are both scored {asked}, but not on the same images and masks (fingerprints "
        f"{prints[0]} and {prints[1]})",
        _on_one_data_set((first, result), (other, same[0])),
    )


def _on_unseen(run: Path) -> str:
    return f"`{shlex.join(['pixelwise', 'evaluate', printable(run), '--data', 'FOLDER', '--split', 'test'])}`"


def _on_one_data_set(first: tuple[Subject, Result], other: tuple[Subject, Result]) -> str:
    """The commands that score two subjects on the same images."""
    folders = first[1].data, other[1].data
    if not any(folders) or folders[0] == folders[1]:
        # The same folder, which has changed in between; or generated data, of which each recipe has its own.
        data = folders[0] or "FOLDER"
        both = " and ".join(f"`{_command(subject, first[1], data)}`" for subject in (first[0], other[0]))
        return f"score both on one data set as it is now: {both}"
    if folders[0]:
        return f"score both on one data set: `{_command(other[0], first[1], folders[0])}`"
    return f"score both on one data set: `{_command(first[0], first[1], folders[1])}`"


def _command(subject: Subject, result: Result, data: str) -> str:
    """The command that scores a subject as another one was."""
    return _in_words(subject, result.split, result.protocol, data, result.variant)


def _in_words(subject: Subject, split: str, protocol: str, data: str, variant: str) -> str:
    folder = [] if not data else ["--data", data]
    words = ["pixelwise", "evaluate", printable(subject.folder), *shlex.split(variant), *folder]
    return shlex.join([*words, "--split", split, "--protocol", protocol])


def _on_other_data(result: Result, other: Subject) -> bool:
    """Whether a result is not one of the data that another subject was trained on, as far as is known."""
    known = {one.data for _, one in other.answers if one.own_data}
    return other.recipe is None or (bool(result.data) and bool(known) and result.data not in known)


def _not_scored(subject: Subject, split: str, protocol: str, message: str, data: str, variant: str = "") -> RecipeError:
    if not data and subject.recipe is None:
        data = "FOLDER"  # an artefact does not know its data
    words = _in_words(subject, split, protocol, data, variant)
    return RecipeError("R301", message, f"score it so first: `{words}`")


def _refuse_other_classes(answers: Sequence[Answer]) -> None:
    first = answers[0]
    names = [entry.name for entry in first.result.per_class]
    for other in answers[1:]:
        theirs = [entry.name for entry in other.result.per_class]
        if sorted(theirs) != sorted(names):
            raise RecipeError(
                "R303",
                f"{printable(first.subject.folder)} and {printable(other.subject.folder)} do not have the same "
                f"classes: {_only(names, theirs)}",
                "compare networks with the same classes, in any order: train one of the two anew with the classes of "
                f"the other, 'data.classes=[{', '.join(names)}]'",
            )


def refuse_other_labels(first: Answer, other: Answer) -> RecipeError:
    """The error of two answers whose images or labelled pixels are not the same, although the files are."""
    both = first, other
    found = [
        f"{one.result.images} images with {sum(entry.pixels for entry in one.result.per_class)} labelled pixels"
        for one in both
    ]
    protocol, variant = first.result.protocol, first.result.variant
    if protocol == "native":
        how, variant = "with one label table", shlex.join([*shlex.split(variant), "data.label_map={...}"])
    else:
        how, protocol = "at the size of the labels", "native"
    commands = [
        _in_words(one.subject, one.result.split, protocol, "" if one.result.own_data else one.result.data, variant)
        for one in both
    ]
    return RecipeError(
        "R303",
        f"{printable(first.subject.folder)} and {printable(other.subject.folder)} were scored on the same files, but "
        f"not on the same labels ({found[0]}; {found[1]}): the tables that map mask values to classes, or the sizes at "
        "which they were scored, differ",
        f"score both {how}: {' and '.join(f'`{command}`' for command in commands)}",
    )


def _only(mine: Iterable[str], theirs: Iterable[str]) -> str:
    mine, theirs = list(mine), list(theirs)
    here = [name for name in mine if name not in theirs]
    there = [name for name in theirs if name not in mine]
    return f"{', '.join(here) or 'none'} of the first alone, {', '.join(there) or 'none'} of the second alone"
