"""Runs compared by the same images: sides of runs, their pairs, and what is separated."""

from __future__ import annotations

import functools
import itertools
import math
import os
import shlex
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.layouts.splits import groups_of
from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.evaluation.comparison.answers import Answer, Subject, scored_alone
from pixelwise.evaluation.comparison.comparison import ClassScore, Comparison, Pair, Side
from pixelwise.evaluation.comparison.counts import Counts, read_counts, read_ids
from pixelwise.evaluation.comparison.estimates import (
    Estimate,
    Measured,
    differences,
    measured,
    over_seeds,
    side_estimates,
)
from pixelwise.evaluation.comparison.letters import letters_of
from pixelwise.evaluation.comparison.names import names_of
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.evaluation.comparison.refusals import refuse_other_labels
from pixelwise.evaluation.comparison.remarks import (
    Camp,
    about_columns,
    about_folds,
    about_groups,
    about_intervals,
    about_runs,
    about_seeds,
)
from pixelwise.evaluation.comparison.subjects import common_answers, read_subject
from pixelwise.metrics.significance import holm
from pixelwise.recipes.protocols import protocol
from pixelwise.records.evaluations import question
from pixelwise.records.result import Result
from pixelwise.records.seeds.folder import is_seeds, read_seeds, require_runs, runs_within
from pixelwise.storage import printable
from pixelwise.storage.series import LARGEST_DRAWN, group_names, joined, series_of, shown_series


class Drawn(NamedTuple):
    """The mean IoU of a result in the resamples of its images.

    Attributes:
        truth: What was labelled; see `Counts`.
        scores: Its scores, those of the classes left out.
    """

    truth: str
    scores: Measured


def compare_runs(paths: Sequence[Path], options: CompareOptions) -> Comparison:
    """Compare runs; `pixelwise.compare` explains it.

    Raises:
        RecipeError: R300, there are not two runs; R301 to R303, their results cannot be compared; R304, the counts of
            their images were not kept; R203, `group` is not a regular expression; R204, there is no such protocol.
        CheckpointError: K420, a path is neither a run nor an artefact nor a folder of runs; K421, none of the runs of
            such a folder has begun, or a fold of a cross-validation has not been trained and scored.
        DataError: D240, a result is damaged, or not that of the counts of its images.
    """
    if options.protocol is not None:
        protocol(options.protocol)
    subjects = [read_subject(path) for path in _distinct(paths)]
    if len(subjects) < 2:
        _refuse_unfinished_seeds(paths)
        named = printable(subjects[0].folder) if subjects else "nothing"
        raise RecipeError("R300", f"{named} is all there is to compare", "name two runs or more")
    answers = common_answers(subjects, options)
    camps, remarks = _camps(answers, options)
    groups, said = _groups(answers[0], _patterns(options, answers))
    found = [_measured(camp, answers[0], groups, options) for camp in camps]
    pairs = _pairs(camps, found, _classes(answers[0]))
    sides = _sides(camps, found, pairs, _classes(answers[0]))
    remarks += [*said, *about_runs(camps), *about_folds(camps)]
    if all(side.miou.value is None for side in sides):
        remarks.append("No pixel is labelled, so that there is nothing to score.")
    elif len(set(groups.values())) > 1:
        remarks += about_intervals(camps)
    else:
        remarks += about_seeds(sides)
    result = answers[0].result
    return Comparison(
        split=result.split,
        protocol=result.protocol,
        data_fingerprint=result.data_fingerprint,
        images=len(groups),
        units=len(set(groups.values())),
        resamples=options.resamples,
        sides=sides,
        pairs=pairs,
        remarks=(*remarks, *about_columns(camps)),
    )


def _refuse_unfinished_seeds(paths: Sequence[Path]) -> None:
    """Refuse a folder of several seeds of which a single one has begun.

    Raises:
        RecipeError: R300.
    """
    for path in filter(is_seeds, paths):
        begun, seeds = len(runs_within(path)), len(read_seeds(path).seeds)
        if begun < seeds:
            raise RecipeError(
                "R300",
                f"{printable(path)}: {begun} of {seeds} runs has begun, so that there is nothing to compare",
                f"`pixelwise resume {shlex.quote(printable(path))}` trains the others",
            )


def pair_of(names: tuple[str, str], results: tuple[Result, Result], folders: tuple[Path, Path]) -> Pair | None:
    """The differences of two results, second minus first; None if they cannot be compared.

    Args:
        names: Names of the two.
        results: Their results.
        folders: The folders of their evaluations.
    """
    answers = [_alone(folder, result) for folder, result in zip(folders, results, strict=True)]
    first, second = answers
    if question(first.result) != question(second.result) or sorted(_classes(first)) != sorted(_classes(second)):
        return None
    camps, options = [Camp(name, (one,)) for name, one in zip(names, answers, strict=True)], CompareOptions()
    try:
        groups, _ = _groups(first)
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
    answer = _alone(folder, result)
    groups, _ = _groups(answer)
    counts = _counts(answer, groups, _classes(answer))
    found = measured([counts.rows], protocol(result.protocol).absent, resamples, counts.labelled)
    return Drawn(counts.truth, Measured(found.runs[:, :1], found.drawn[:, :1], found.units[:1]))


def apart_from_best(mious: Sequence[float], found: Sequence[Drawn | None]) -> list[bool | None]:
    """Whether each result is told from the best one, after Holm's correction; False for the best one itself.

    Args:
        mious: Mean IoU of each result; NaN if nothing is labelled.
        found: What is known of each; None of one whose images were not counted, or not yet.

    Returns:
        None where nothing is known of a result or of the best one, or their labels are not the same.
    """
    top = max(range(len(found)), key=lambda place: (-math.inf if math.isnan(mious[place]) else mious[place], -place))
    best = found[top]
    if best is None or math.isnan(mious[top]):
        return [None] * len(found)
    estimates = [
        Estimate(value=None)
        if one is None or place == top or one.truth != best.truth
        else differences(best.scores, one.scores)[0]
        for place, one in enumerate(found)
    ]
    told = [None if one.adjusted is None else one.separated for one in _adjusted(estimates)]
    return [False if place == top else one for place, one in enumerate(told)]


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """The runs that the paths lead to, each once."""
    expanded = itertools.chain.from_iterable(require_runs(path) or (path,) for path in paths)
    found: dict[str, Path] = {}
    for path in expanded:
        found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _alone(folder: Path, result: Result) -> Answer:
    """A result whose run is not known."""
    return Answer(Subject(folder, (), None, None, ()), *scored_alone(folder, result))


def _classes(answer: Answer) -> list[str]:
    return [entry.name for entry in answer.result.per_class]


def _camps(answers: Sequence[Answer], options: CompareOptions) -> tuple[list[Camp], list[str]]:
    """The sides, in the order in which they were named, and remarks on runs that are left out."""
    remarks, kinds = [], {}
    for place, one in enumerate(answers):
        cost = one.result.training
        # Half a training is not a seed of a whole one.
        key = (place,) if options.each else (*one.subject.kind, 1.0 if cost is None else cost.share)
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
    names = names_of([[one.subject.folder for one in known] for known in kinds.values()])
    return [Camp(name, tuple(known)) for name, known in zip(names, kinds.values(), strict=True)], remarks


def _patterns(options: CompareOptions, answers: Sequence[Answer]) -> tuple[str, ...]:
    """What finds the groups to be drawn: what was asked for, or else what the folds of any answer do not divide."""
    if options.group is not None:
        return (options.group,)
    found = (one.subject.group for one in answers if one.is_out_of_fold)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _groups(answer: Answer, patterns: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Id of each image -> the unit that it is drawn with, and what is to be said about that.

    Args:
        answer: One of the answers, which are all of the same images.
        patterns: Images are drawn together if one of these expressions finds them to be of one group; none of them for
            the series that the names show.
    """
    ids = _ids(answer)
    if answer.is_out_of_fold:
        # Names are read as they were for the division into folds.
        groups = joined([groups_of(ids, pattern, LARGEST_DRAWN) for pattern in patterns or (None,)])
    elif patterns:
        groups = joined([group_names(ids, pattern, 1.0) for pattern in patterns])
    else:
        groups = series_of(ids, LARGEST_DRAWN)
    return groups, about_groups(len(ids), len(set(groups.values())), "', '".join(patterns) or None, shown_series(ids))


def _measured(camp: Camp, first: Answer, groups: dict[str, str], options: CompareOptions) -> Measured:
    classes = _classes(first)
    known = _counts(first, groups, classes)

    def rows() -> Iterator[np.ndarray]:
        for one in camp.answers:
            if _ids(one) != sorted(groups):
                raise refuse_other_labels(first, one)
            counts = _counts(one, groups, classes)
            if counts.truth != known.truth:
                raise refuse_other_labels(first, one)
            yield counts.rows

    return measured(rows(), protocol(first.result.protocol).absent, options.resamples, known.labelled)


def _ids(answer: Answer) -> list[str]:
    """The ids of its images, sorted."""
    return sorted(itertools.chain.from_iterable(read_ids(folder) for folder, _ in answer.parts))


def _counts(answer: Answer, groups: dict[str, str], classes: Sequence[str]) -> Counts:
    """The counts of an answer, its classes in this order.

    Raises:
        RecipeError: R304, they were not kept.
        DataError: D240, they are damaged, or not those of the result.
    """
    parts = [_counts_of(folder, result, groups, classes) for folder, result in answer.parts]
    return functools.reduce(Counts.with_images_of, parts)


def _counts_of(folder: Path, result: Result, groups: dict[str, str], classes: Sequence[str]) -> Counts:
    mine = [entry.name for entry in result.per_class]
    order = [mine.index(name) for name in classes]
    counts = read_counts(folder, order, groups)
    expected = _totals(result)
    if len(expected) != len(mine) or counts.rows.sum(0).tolist() != expected[order].T.ravel().tolist():
        raise DataError(
            "D240",
            f"{printable(folder)}: the counts of single images do not add up to the result: one of the two is of "
            "another evaluation",
            f"score it again: `{result.command}`" if result.command else "score it again with `pixelwise evaluate`",
        )
    return counts


def _totals(result: Result) -> np.ndarray:
    """Intersection and union of each class over all images, int64 (K, 2)."""
    if result.binary_counts:
        parts = [(one.true_positives, one.false_positives + one.false_negatives) for one in result.binary_counts]
        return np.array([[right, right + wrong] for right, wrong in parts], np.int64)
    matrix = np.array(result.confusion_matrix, np.int64).reshape(len(result.confusion_matrix), -1)
    right = matrix.diagonal()
    return np.stack([right, matrix.sum(0) + matrix.sum(1) - right], 1)


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


def _sides(
    camps: Sequence[Camp], found: Sequence[Measured], pairs: Sequence[Pair], classes: Sequence[str]
) -> tuple[Side, ...]:
    """The sides, the best first, with the letters of those that are not separated."""
    made = [_side(camp, one, classes) for camp, one in zip(camps, found, strict=True)]
    made.sort(key=lambda side: -math.inf if side.miou.value is None else side.miou.value, reverse=True)
    apart = {frozenset((pair.first, pair.second)) for pair in pairs if pair.miou.separated}
    letters = letters_of([side.name for side in made], apart)
    best = made[0].name
    return tuple(
        msgspec.structs.replace(side, letters=letters[side.name], separated=frozenset((side.name, best)) in apart)
        for side in made
    )


def _side(camp: Camp, found: Measured, classes: Sequence[str]) -> Side:
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
            for name, score, (sd, interval) in zip(classes, iou, spread, strict=True)
        ),
        boundary_miou=_mean_of([one.boundary_miou for one in results]),
        calibration_error=_mean_of([one.calibration_error for one in results]),
    )


def _mean_of(values: Sequence[float]) -> float | None:
    return None if any(map(math.isnan, values)) else statistics.fmean(values)
