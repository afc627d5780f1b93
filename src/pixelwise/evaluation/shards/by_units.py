"""Evaluation by units: which there are, which are done, who does the others, and what comes of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from pixelwise.datasets.shards.packages import parquet
from pixelwise.errors import DataError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards.folding import fold
from pixelwise.evaluation.shards.jobs import job_of
from pixelwise.evaluation.shards.receipts import Receipts
from pixelwise.evaluation.shards.units import Unit, divide
from pixelwise.evaluation.shards.work import Brief, Job, Scorer, evaluate_shard, open_worker
from pixelwise.evaluation.subject import Subject
from pixelwise.observer import Observer
from pixelwise.prediction.shards.progress import UnitsProgress
from pixelwise.records.evaluations import EVALUATIONS
from pixelwise.records.problems import Problem
from pixelwise.records.result import Result, Unfinished
from pixelwise.storage.names import counted as in_words
from pixelwise.storage.stores.addresses import address_of, place_of, with_access

SHOWN = 10
"""Number of bad images that an error names."""


def score_by_units(
    subject: Subject, open_subject: Callable[[], Subject], options: EvaluateOptions, observer: Observer
) -> list[Result] | Unfinished:
    """Score a subject by units, each of which gets a receipt, and save the result once all are done.

    Units that have a receipt are not scored again, so the same call goes on where it was stopped, and several workers
    share the work. Whoever finds all units done saves the results, which are those of `pixelwise.evaluation.score`.

    Args:
        subject: The subject.
        open_subject: Opens it in other processes; can be pickled.
        options: Options of the evaluation.
        observer: Receives the phase, progress and warnings.

    Returns:
        One result per protocol; or how much is done, as long as other parts are not.

    Raises:
        DataError: D137, images cannot be scored, so there is no result; D271, the data changed meanwhile; D272, its
            store does not answer.
        RecipeError: R240, pyarrow is not installed; R226, a metric failed; R252, Ray is too small.
        ResourceError: S601, a disk is full; S611, the output cannot be read or written.
    """
    folder = subject.folder
    if folder is None:
        raise AssertionError  # receipts need one
    parquet()
    share = options.share
    if subject.refuse is not None and (share is None or share.number == 0):
        subject.refuse()
    output = place_of(options.output) if options.output is not None else folder.absolute() / EVALUATIONS
    given = tuple(with_access(one) for one in (subject.data, address_of(output)) if one and address_of(one))
    job = Job(job_of(subject, options), open_subject, options, output, given)
    scorer = Scorer(subject, options, observer)
    units = divide(scorer.samples, subject.batch_size)
    work = _Work(job, Receipts(output, job.name), scorer, units if share is None else share.of(units))
    while True:
        observer.phase("evaluating")
        work.do(observer)
        done = work.receipts.done()
        if all(unit.name in done for unit in units):
            results = fold(subject, scorer, units, work.receipts, options, observer)
            if results is not None:
                return results
            done = work.receipts.done()  # a receipt was damaged
        if all(unit.name in done for unit in work.mine):
            images = sum(len(unit.places) for unit in units if unit.name in done)
            return Unfinished(split=subject.split, done=images, images=len(scorer.samples))


class _Work(NamedTuple):
    """Units that this call does."""

    job: Job
    receipts: Receipts
    scorer: Scorer
    mine: Sequence[Unit]

    def do(self, observer: Observer) -> None:
        """Do the units that have no receipt.

        Raises:
            DataError: D137, images cannot be scored.
        """
        done = self.receipts.done()
        left = [unit for unit in self.mine if unit.name not in done]
        total = sum(len(unit.places) for unit in self.mine)
        progress = UnitsProgress(observer, total - sum(len(unit.places) for unit in left), total)
        problems: list[Problem] = []
        with contextlib.closing(self._briefs(left, progress)) as briefs:
            for brief in briefs:
                problems += brief.problems
                progress.unit_done(brief.images)
        if problems:
            raise _refusal(problems)

    def _briefs(self, units: Sequence[Unit], observer: Observer) -> Generator[Brief, None, None]:
        if self.job.options.engine == "ray":
            # Imported here: Ray takes seconds to import, and is not a package that everybody has.
            from pixelwise.prediction.shards.ray_engine import over_ray

            yield from over_ray(units, functools.partial(open_worker, self.job), Brief, self.job.options)
            return
        for unit in units:
            yield evaluate_shard(unit, self.scorer, self.receipts, self.job, observer)


def _refusal(problems: Sequence[Problem]) -> DataError:
    """The error for images that cannot be scored: a result without them would be one of another, smaller test set."""
    named = ", ".join(f"{problem.file} ({problem.code})" for problem in problems[:SHOWN])
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    first = problems[0]
    return DataError(
        "D137",
        f"{in_words(len(problems), 'image')} cannot be scored, so there is no result: {named}{more}. "
        f"{first.code} is: {first.message}",
        f"{first.help}. Repair each image or take it out of the split, and give the same command again: the others are "
        "kept, and `pixelwise check` lists all that is wrong",
    )
