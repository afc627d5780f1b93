"""Runs compared by the same images: sides of runs, their pairs, and what is separated."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.layouts.splits import group_names, series_of
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.evaluation.comparison.comparison import ClassScore, Comparison, Pair, Side
from pixelwise.evaluation.comparison.counts import read_counts, read_ids
from pixelwise.evaluation.comparison.estimates import (
    Estimate,
    Measured,
    differences,
    measured,
    over_seeds,
    side_estimates,
)
from pixelwise.evaluation.comparison.letters import letters_of
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.evaluation.comparison.subjects import (
    Answer,
    Subject,
    common_answers,
    read_subject,
    refuse_other_labels,
)
from pixelwise.metrics.significance import holm
from pixelwise.recipes.protocols import protocol
from pixelwise.records.evaluations import question
from pixelwise.records.result import Result
from pixelwise.records.seeds.folder import runs_within
from pixelwise.storage import printable

_LARGEST_SERIES = 0.5
"""Share of the images that no series may exceed to be drawn as a whole: with two units nothing can be derived."""
_ALIKE = 2
"""Images per series, on average, from which series that are too few to be drawn are worth a remark."""


class Drawn(NamedTuple):
    """The mean IoU of a result in the resamples of its images.

    Attributes:
        truth: What was labelled; see `Counts`.
        scores: Its scores, those of the classes left out.
    """

    truth: str
    scores: Measured


class Camp(NamedTuple):
    """The answers of the runs of one side.

    Attributes:
        name: Name of the side.
        answers: One per run.
    """

    name: str
    answers: tuple[Answer, ...]


def compare_runs(paths: Sequence[Path], options: CompareOptions) -> Comparison:
    """Compare runs; `pixelwise.compare` explains it.

    Raises:
        RecipeError: R300, there are not two runs; R301 to R303, their results cannot be compared; R304, the counts of
            their images were not kept; R203, `group` is not a regular expression; R204, there is no such protocol.
        CheckpointError: K420, a path is neither a run nor an artefact nor a folder of runs.
        DataError: D240, a result is damaged.
    """
    if options.protocol is not None:
        protocol(options.protocol)
    subjects = [read_subject(path) for path in dict.fromkeys(_expanded(paths))]
    if len(subjects) < 2:
        named = printable(subjects[0].folder) if subjects else "nothing"
        raise RecipeError("R300", f"{named} is all there is to compare", "name two runs or more")
    answers = common_answers(subjects, options)
    camps, remarks = _camps(answers, options)
    groups, said = _groups(answers[0], options)
    remarks += said
    found = [_measured(camp, answers[0], groups, options) for camp in camps]
    pairs = _pairs(camps, found, _classes(answers[0]))
    result = answers[0].result
    return Comparison(
        split=result.split,
        protocol=result.protocol,
        data_fingerprint=result.data_fingerprint,
        images=len(groups),
        units=len(set(groups.values())),
        resamples=options.resamples,
        sides=_sides(camps, found, pairs),
        pairs=pairs,
        remarks=(*remarks, *_about(camps)),
    )


def pair_of(names: tuple[str, str], results: tuple[Result, Result], folders: tuple[Path, Path]) -> Pair | None:
    """The differences of two results, second minus first; None if they cannot be compared.

    Args:
        names: Names of the two.
        results: Their results.
        folders: The folders of their evaluations.
    """
    answers = [
        Answer(Subject(folder, (), None, None, ()), folder, result)
        for folder, result in zip(folders, results, strict=True)
    ]
    first, second = answers
    if question(first.result) != question(second.result) or _classes(first) != _classes(second):
        return None
    camps, options = [Camp(name, (one,)) for name, one in zip(names, answers, strict=True)], CompareOptions()
    try:
        groups, _ = _groups(first, options)
        return _pairs(camps, [_measured(camp, first, groups, options) for camp in camps], _classes(first))[0]
    except PixelwiseError:  # their images are not the same, or what was kept of them is gone
        return None


def drawn_of(folder: Path, result: Result, resamples: int = 500) -> Drawn:
    """The mean IoU of a result in the resamples of its images, to be held against others by `apart_from_best`.

    Args:
        folder: Folder of the evaluation.
        result: Its result.
        resamples: Number of resamples.

    Raises:
        RecipeError: R304, the counts of single images were not kept.
        DataError: D240, they are damaged.
    """
    answer = Answer(Subject(folder, (), None, None, ()), folder, result)
    groups, _ = _groups(answer, CompareOptions())
    counts = read_counts(folder, len(result.per_class), groups)
    found = measured([counts.rows], protocol(result.protocol).absent, resamples)
    return Drawn(counts.truth, Measured(found.runs[:, :1], found.drawn[:, :1], found.units[:1]))


def apart_from_best(found: Sequence[Drawn | None]) -> list[bool | None]:
    """Whether each result is told from the best one, after Holm's correction; False for the best one itself.

    None where nothing is known of it, or its labels are not those of the best one.
    """
    known = [(one.scores.runs[0, 0], -place) for place, one in enumerate(found) if one is not None]
    known = [one for one in known if not math.isnan(one[0])]
    if not known:
        return [None] * len(found)
    top = -max(known)[1]
    best = found[top]
    estimates = [
        Estimate(value=None)
        if best is None or one is None or place == top or one.truth != best.truth
        else differences(best.scores, one.scores)[0]
        for place, one in enumerate(found)
    ]
    told = [None if one.adjusted is None else one.separated for one in _adjusted(estimates)]
    return [False if place == top else one for place, one in enumerate(told)]


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from runs_within(path) or (path,)


def _classes(answer: Answer) -> list[str]:
    return [entry.name for entry in answer.result.per_class]


def _camps(answers: Sequence[Answer], options: CompareOptions) -> tuple[list[Camp], list[str]]:
    """The sides, in the order in which they were named, and remarks on runs that are left out."""
    remarks, kinds = [], {}
    for place, one in enumerate(answers):
        key = (place,) if options.each else one.subject.kind
        known = kinds.setdefault(key, [])
        twin = next((old for old in known if old.result.weights_sha256 == one.result.weights_sha256), None)
        if twin is None:
            known.append(one)
        else:
            remarks.append(
                f"{printable(one.subject.folder)} holds the same weights as {printable(twin.subject.folder)} and "
                "counts once."
            )
    if len(kinds) == 1 and len(next(iter(kinds.values()))) < 2:
        raise RecipeError(
            "R300",
            f"{printable(answers[0].subject.folder)} and {printable(answers[1].subject.folder)} hold the same weights",
            "name another run, or take each by itself (`each`)",
        )
    names = _names([[one.subject for one in known] for known in kinds.values()])
    return [Camp(name, tuple(known)) for name, known in zip(names, kinds.values(), strict=True)], remarks


def _names(sides: Sequence[Sequence[Subject]]) -> list[str]:
    """A name for each side: as short as they differ."""
    short = [_name(side, lambda path: path.name) for side in sides]
    twice = {name for name, number in Counter(short).items() if number > 1}
    return [_name(side, printable) if name in twice else name for side, name in zip(sides, short, strict=True)]


def _name(side: Sequence[Subject], shown: Callable[[Path], str]) -> str:
    paths = [one.folder for one in side]
    if len(paths) == 1:
        return printable(Path(shown(paths[0])))
    parents = {path.parent for path in paths}
    if len(parents) == 1 and (parent := parents.pop()) != Path() and runs_within(parent):
        return printable(Path(shown(parent)))
    first, last = min(map(shown, paths)), max(map(shown, paths))
    start = "".join(a for a, _ in itertools.takewhile(lambda both: both[0] == both[1], zip(first, last, strict=False)))
    return printable(Path(f"{start}*" if start else f"{shown(paths[0])} and {len(paths) - 1} more"))


def _groups(answer: Answer, options: CompareOptions) -> tuple[dict[str, str], list[str]]:
    """Id of each image -> the unit that it is drawn with, and what is to be said about that."""
    ids = read_ids(answer.folder)
    groups = series_of(ids, _LARGEST_SERIES) if options.group is None else group_names(ids, options.group, 1.0)
    number = len(set(groups.values()))
    if number < len(ids):
        return groups, [f"Images of one group are alike, so the {number} groups were drawn, not the {len(ids)} images."]
    shown = series_of(ids, 1.0, least=2)
    few = len(set(shown.values()))
    if options.group is None and 1 < few < len(ids) / _ALIKE:
        return groups, [
            f"The names of the images show {few} series, too few to be drawn as a whole: if their images are alike, "
            "the intervals are too narrow (--group PATTERN draws them nevertheless)."
        ]
    return groups, []


def _measured(camp: Camp, first: Answer, groups: dict[str, str], options: CompareOptions) -> Measured:
    classes = len(first.result.per_class)
    truth = read_counts(first.folder, classes, groups).truth

    def rows() -> Iterator[np.ndarray]:
        for one in camp.answers:
            if read_ids(one.folder) != sorted(groups):
                raise refuse_other_labels(first, one)
            counts = read_counts(one.folder, classes, groups)
            if counts.truth != truth:
                raise refuse_other_labels(first, one)
            yield counts.rows

    return measured(rows(), protocol(first.result.protocol).absent, options.resamples)


def _pairs(camps: Sequence[Camp], found: Sequence[Measured], classes: Sequence[str]) -> tuple[Pair, ...]:
    made = []
    for (ours, mine), (theirs, others) in itertools.combinations(zip(camps, found, strict=True), 2):
        miou, *iou = differences(mine, others)
        made.append(
            Pair(
                first=ours.name,
                second=theirs.name,
                miou=miou,
                per_class=dict(zip(classes, _adjusted(iou), strict=True)),
            )
        )
    scores = _adjusted([pair.miou for pair in made])
    return tuple(msgspec.structs.replace(pair, miou=miou) for pair, miou in zip(made, scores, strict=True))


def _adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    adjusted = holm([one.p for one in estimates])
    return [msgspec.structs.replace(one, adjusted=p) for one, p in zip(estimates, adjusted, strict=True)]


def _sides(camps: Sequence[Camp], found: Sequence[Measured], pairs: Sequence[Pair]) -> tuple[Side, ...]:
    """The sides, the best first, with the letters of those that are not separated."""
    made = [_side(camp, one) for camp, one in zip(camps, found, strict=True)]
    made.sort(key=lambda side: -math.inf if side.miou.value is None else side.miou.value, reverse=True)
    apart = {frozenset((pair.first, pair.second)) for pair in pairs if pair.miou.separated}
    letters = letters_of([side.name for side in made], apart)
    best = made[0].name
    return tuple(
        msgspec.structs.replace(side, letters=letters[side.name], separated=frozenset((side.name, best)) in apart)
        for side in made
    )


def _side(camp: Camp, found: Measured) -> Side:
    (miou, *iou), ((deviation, seeds), *spread) = side_estimates(found), over_seeds(found)
    results = [one.result for one in camp.answers]
    return Side(
        name=camp.name,
        runs=tuple(printable(one.subject.folder) for one in camp.answers),
        seeds=tuple(one.subject.seed for one in camp.answers),
        recipe=results[0].recipe,
        miou=miou,
        runs_miou=tuple(float(value) for value in found.runs[:, 0]),
        deviation=deviation,
        seeds_interval=seeds,
        per_class=tuple(
            ClassScore(name=name, iou=score, deviation=sd, seeds_interval=interval)
            for name, score, (sd, interval) in zip(_classes(camp.answers[0]), iou, spread, strict=True)
        ),
        boundary_miou=_mean_of([one.boundary_miou for one in results]),
        calibration_error=_mean_of([one.calibration_error for one in results]),
    )


def _mean_of(values: Sequence[float]) -> float | None:
    return None if any(map(math.isnan, values)) else statistics.fmean(values)


def _about(camps: Sequence[Camp]) -> list[str]:
    """What the intervals cover."""
    alone = [camp.name for camp in camps if len(camp.answers) == 1]
    said = []
    if len(alone) == len(camps):
        said.append(
            "Intervals are over images: these are differences of these trained networks. What another seed would "
            "change is not in them; `pixelwise train --seeds 3` measures it."
        )
    elif alone:
        said.append(
            f"Intervals are over images and seeds, except that {', '.join(alone)} is a single run, whose seed counts "
            "as if it were no chance."
        )
    else:
        said.append("Intervals are over images and seeds.")
    if len(camps) > 2:
        said.append("Sides that share a letter are not separated, after Holm's correction over all pairs.")
    if any(not math.isnan(one.result.boundary_miou) for camp in camps for one in camp.answers):
        said.append("Boundary IoU and ECE have no interval: their counts are not kept for single images.")
    return said
