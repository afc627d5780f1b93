"""Why results cannot be compared, and the commands that make them comparable."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from pixelwise.errors import RecipeError
from pixelwise.evaluation.comparison.answers import Answer, Subject
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.records.folds.cross_validation import OUT_OF_FOLD
from pixelwise.records.folds.division import division_of
from pixelwise.records.result import Result
from pixelwise.storage import printable


def not_asked(subject: Subject, options: CompareOptions) -> RecipeError:
    """What keeps a subject from answering what is asked for, and the command that scores it so.

    Args:
        subject: The first subject of the comparison.
        options: What is asked for.
    """
    split, protocol = options.split or subject.split, options.protocol or subject.protocol
    state = f"{printable(subject.folder)} is not scored on {split} under {protocol}"
    data = next((one.result.data for one in subject.answers if one.result.own_data is not True), "")
    if not subject.folds and split == OUT_OF_FOLD:
        return RecipeError(
            "R301",
            f"{state}, which is what the networks of a cross-validation say of images that they have not seen",
            "name cross-validations, or leave the split out",
        )
    if not subject.folds:
        return _not_scored(subject, split, protocol, state, data)
    if split == OUT_OF_FOLD:
        return RecipeError("R301", state, f"score each of its folds so first: {_on_folds(subject, protocol)}")
    return RecipeError(
        "R301",
        f"{state}: it is a cross-validation, whose networks have seen all images of its data but those of their fold",
        f"leave the split out, or name '{OUT_OF_FOLD}', the score of each image by the network that has not seen it; "
        f"its networks together are scored on other data: {_on_unseen(subject.folder)}",
    )


def incomparable(first: Subject, result: Result, other: Subject, options: CompareOptions) -> RecipeError:
    """What keeps a subject from being compared with the first one, and the command that makes them comparable.

    Args:
        first: The first subject.
        result: Its result.
        other: A subject without a result that answers the same question.
        options: What is asked for.
    """
    if first.folds or other.folds:
        return _incomparable_folds(first, result, other)
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
    theirs = [one.result for one in other.answers]
    same = [one for one in theirs if (one.split, one.protocol) == (result.split, result.protocol)]
    if not same:
        others = [f"on {one.split} under {one.protocol}" for one in theirs if options.is_about(one)]
        state = f"scored {' and '.join(dict.fromkeys(others))} alone" if others else "not scored so"
        if not others and theirs:
            state = f"scored on {theirs[0].split} under {theirs[0].protocol} alone"
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
    refuse_other_classes([Answer(first, result, ()), Answer(other, same[0], ())])
    prints = result.data_fingerprint[:8], same[0].data_fingerprint[:8]
    return RecipeError(
        "R302",
        f"{names[0]} and {names[1]} are both scored {asked}, but not on the same images and masks (fingerprints "
        f"{prints[0]} and {prints[1]})",
        _on_one_data_set((first, result), (other, same[0])),
    )


def _incomparable_folds(first: Subject, result: Result, other: Subject) -> RecipeError:
    """As `incomparable`, if one of the two or both are cross-validations."""
    names = printable(first.folder), printable(other.folder)
    both = f"{_on_unseen(first.folder)} and {_on_unseen(other.folder)}"
    if not (first.folds and other.folds):
        folds, whole = (first, other) if first.folds else (other, first)
        return RecipeError(
            "R302",
            f"{printable(folds.folder)} is a cross-validation, which scores each image by the network that has not "
            f"seen it, and {printable(whole.folder)} is not: they are not scored on the same images",
            "compare it with another cross-validation of the same data, or score both on images that none of their "
            f"networks was trained on: {both}",
        )
    theirs = [one.result for one in other.answers if one.result.split == result.split]
    if result.split != OUT_OF_FOLD or not theirs:
        return RecipeError(
            "R301",
            f"{names[0]} is scored on {result.split} of other data under {result.protocol}, {names[1]} is not",
            f"score both on images that none of their networks was trained on: {both}",
        )
    alike = [one for one in theirs if one.data_fingerprint == result.data_fingerprint]
    if alike:
        asked, found = (_asked_in_words(one) for one in (result, alike[0]))
        return RecipeError(
            "R301",
            f"{names[0]} is scored under {asked}, {names[1]} under {found}",
            f"score each fold of {names[1]} so first: {_on_folds(other, result.protocol, result.variant)}",
        )
    # Classes are a part of a data set: with other ones it would never be the same.
    refuse_other_classes([Answer(first, result, ()), Answer(other, theirs[0], ())])
    folder = result.data or "FOLDER"
    again = shlex.join(["pixelwise", "crossval", "RECIPE", "--data", folder])
    return RecipeError(
        "R302",
        f"{names[0]} and {names[1]} are cross-validations of other images or masks (fingerprints "
        f"{result.data_fingerprint[:8]} and {theirs[0].data_fingerprint[:8]})",
        f"repeat {names[1]} on the data of {names[0]}, with its recipe: `{again}`"
        if folder != theirs[0].data
        else f"the data has changed in between: repeat the earlier one, with its recipe: `{again}`",
    )


def _asked_in_words(result: Result) -> str:
    return f"{result.protocol} with {result.variant}" if result.variant else result.protocol


def _on_folds(subject: Subject, protocol: str, variant: str = "") -> str:
    """The commands that score each fold on what it holds out."""
    words = [
        ["pixelwise", "evaluate", printable(fold), *shlex.split(variant), "--protocol", protocol]
        for fold in subject.folds
    ]
    return f"`{' && '.join(map(shlex.join, words))}`"


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
    known = {one.result.data for one in other.answers if one.result.own_data}
    return other.recipe is None or (bool(result.data) and bool(known) and result.data not in known)


def _not_scored(subject: Subject, split: str, protocol: str, message: str, data: str, variant: str = "") -> RecipeError:
    if not data and subject.recipe is None:
        data = "FOLDER"  # an artefact does not know its data
    words = _in_words(subject, split, protocol, data, variant)
    return RecipeError("R301", message, f"score it so first: `{words}`")


def refuse_other_classes(answers: Sequence[Answer]) -> None:
    """Refuse to compare results of different classes.

    Raises:
        RecipeError: R303.
    """
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
        _on_folds(one.subject, protocol, variant)
        if one.is_out_of_fold
        else f"`{_in_words(one.subject, one.result.split, protocol, data, variant)}`"
        for one in both
        for data in ["" if one.result.own_data else one.result.data]
    ]
    return RecipeError(
        "R303",
        f"{printable(first.subject.folder)} and {printable(other.subject.folder)} were scored on the same files, but "
        f"not on the same labels ({found[0]}; {found[1]}): the tables that map mask values to classes, or the sizes at "
        "which they were scored, differ",
        f"score both {how}: {' and '.join(commands)}",
    )


def _only(mine: Iterable[str], theirs: Iterable[str]) -> str:
    mine, theirs = list(mine), list(theirs)
    here = [name for name in mine if name not in theirs]
    there = [name for name in theirs if name not in mine]
    return f"{', '.join(here) or 'none'} of the first alone, {', '.join(there) or 'none'} of the second alone"
