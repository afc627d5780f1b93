"""The work of an evaluation by units: one function, which any engine may call, anywhere, as often as it likes."""

from __future__ import annotations

import contextlib
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.passes import Pass
from pixelwise.evaluation.shards.receipts import BadUnit, Receipts, ScoredUnit
from pixelwise.evaluation.shards.states import Counted, counted, take_in
from pixelwise.evaluation.shards.units import Unit, refuse_changed
from pixelwise.evaluation.subject import Subject, scoring_options
from pixelwise.evaluation.tally import Tally
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.careful import by_processes
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.receipts.created import PATIENCE
from pixelwise.prediction.shards.careful import deadly
from pixelwise.prediction.shards.work import raise_if_unreachable
from pixelwise.records.details import thumbnail_name
from pixelwise.records.problems import Problem
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of


class Job(NamedTuple):
    """What scores, for workers of other processes and machines.

    Attributes:
        name: Its name: equal for two evaluations only if they count the same in the same images.
        open_subject: Opens network and data; can be pickled.
        options: Options of the evaluation.
        output: Folder or address of the receipts.
        given: Addresses as they were given, with what gives access.
    """

    name: str
    open_subject: Callable[[], Subject]
    options: EvaluateOptions
    output: Path
    given: tuple[str, ...] = ()


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever waits for a unit has to know of it.

    Attributes:
        unit: Name of the unit.
        images: Number of its images.
        problems: The errors of images that cannot be scored; if there are any, the unit is not done.
    """

    unit: str
    images: int
    problems: tuple[Problem, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is found of an image.

    Attributes:
        counted: Its counts under each protocol.
        thumbnail: Its small picture; None if no report shows any.
        problem: Its error; None if it was scored.
    """

    counted: tuple[Counted, ...] = ()
    thumbnail: tuple[str, bytes] | None = None
    problem: Problem | None = None


class Scorer:
    """Network and data of a subject, ready to score units.

    Args:
        subject: The subject.
        options: Options of the evaluation.
        observer: Receives warnings.
    """

    def __init__(self, subject: Subject, options: EvaluateOptions, observer: Observer = SILENT) -> None:
        self._thumbnails = Thumbnails()
        settings = scoring_options(subject, options, self._thumbnails)
        self._pass = Pass(subject.model, subject.dataset, subject.split, subject.protocols, settings, observer)

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples of the split."""
        return self._pass.samples

    def tallies(self, *, cells: bool = False) -> list[Tally]:
        """A new tally for each protocol; see `Pass.tallies`."""
        return self._pass.tallies(cells=cells)

    def score(self, unit: Unit, observer: Observer = SILENT) -> ScoredUnit | BadUnit:
        """Score the images of a unit.

        Raises:
            DataError: D271, the images are not those that the unit was named after; D272, their store does not answer.
        """
        refuse_changed(unit, self.samples, self._pass.dataset)
        with self._measured(unit) as finish:
            tallies, problems, done = self.tallies(cells=True), {}, 0
            with self._pass.batches(unit.places, lambda place, error: self._note(problems, place, error)) as batches:
                for batch in batches:
                    self._pass.add(batch, lambda _: tallies)
                    done += len(batch)
                    observer.progress(done, len(unit.places))
            return finish([counted(tally) for tally in tallies], self._thumbnails.taken(), problems)

    def score_carefully(self, unit: Unit, job: Job) -> ScoredUnit | BadUnit:
        """As `score`, by further processes, because an image may end the process that scores it."""
        refuse_changed(unit, self.samples, self._pass.dataset)
        with self._measured(unit) as finish, tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch:
            each = functools.partial(_score_each, job)
            found = by_processes(unit.places, each, Found, Path(scratch))
            tallies, pictures, problems = self.tallies(cells=True), [], {}
            for number, place in enumerate(unit.places):
                one = found.get(number) or Found(problem=deadly(self.samples[place].image_path))
                if one.problem is not None:
                    problems[place] = one.problem
                    continue
                for tally, some in zip(tallies, one.counted, strict=True):
                    take_in(tally, some)
                pictures += [] if one.thumbnail is None else [one.thumbnail]
            return finish([counted(tally) for tally in tallies], pictures, problems)

    def score_each(self, places: Sequence[int]) -> Iterator[Found]:
        """Score images, each on its own terms but in the same batches as `score`.

        Yields:
            What is found of each image, in order.
        """
        problems: dict[int, Problem] = {}
        waiting = iter(places)
        with self._pass.batches(places, lambda place, error: self._note(problems, place, error)) as batches:
            for batch in batches:
                tallies = {one.place: self.tallies(cells=True) for one in batch}
                self._pass.add(batch, tallies.__getitem__)
                pictures = dict(self._thumbnails.taken())
                for one in batch:
                    for place in iter(lambda: next(waiting), one.place):
                        yield Found(problem=problems[place])
                    name = thumbnail_name(one.place)
                    yield Found(
                        counted=tuple(counted(tally) for tally in tallies[one.place]),
                        thumbnail=(name, pictures[name]) if name in pictures else None,
                    )
        for place in waiting:
            yield Found(problem=problems[place])

    @contextlib.contextmanager
    def _measured(self, unit: Unit) -> Iterator[Callable[..., ScoredUnit | BadUnit]]:
        """Context whose function makes what is returned for a unit, with time and memory since its begin."""
        device, start = self._pass.device, time.perf_counter()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

        def finish(
            found: Sequence[Counted], pictures: Sequence[tuple[str, bytes]], problems: dict[int, Problem]
        ) -> ScoredUnit | BadUnit:
            if problems:
                errors = tuple(problems[place] for place in sorted(problems))
                return BadUnit(unit=unit.name, images=len(unit.places), problems=errors)
            return ScoredUnit(
                unit=unit.name,
                counted=tuple(found),
                thumbnails=tuple(pictures),
                seconds=time.perf_counter() - start,
                peak_memory_bytes=peak_memory_bytes(device),
            )

        yield finish

    def _note(self, problems: dict[int, Problem], place: int, error: DataError) -> None:
        """Note a bad image, unless its store does not give it, which may be different the next time."""
        sample = self.samples[place]
        for path in (sample.image_path, *sample.mask_files):
            raise_if_unreachable(path)
        file = printable(sample.image_path)
        problems[place] = Problem(file=file, code=error.code, message=error.message, help=error.help)


def evaluate_shard(unit: Unit, scorer: Scorer, receipts: Receipts, job: Job, observer: Observer = SILENT) -> Brief:
    """Score the images of a unit, and write a receipt with their counts.

    The work may be done more than once, for example by a worker that is believed dead; what counts is the receipt of
    one of them. A bad image is no exception: it is listed, and its unit is not done. An image that ends the process is
    found when the unit is attempted for the third time: from then on its images are scored by further processes, fewer
    and fewer at a time.

    Args:
        unit: The unit.
        scorer: Network and data of the job.
        receipts: The receipts of the job.
        job: The job.
        observer: Receives the number of images that are done.

    Raises:
        DataError: D271, the images are not those that the unit was named after; D272, their store does not answer.
        RecipeError: R226, a metric of another package failed.
        ResourceError: S601, a disk is full; S611, the output cannot be written.
    """
    if receipts.receipt(unit.name) is None:
        attempts = receipts.attempt(unit.name)
        found = scorer.score_carefully(unit, job) if attempts > PATIENCE else scorer.score(unit, observer)
        if isinstance(found, BadUnit):
            return Brief(unit=unit.name, images=found.images, problems=receipts.note_bad(found, attempts).problems)
        receipts.commit(found, attempts)
    return Brief(unit=unit.name, images=len(unit.places))


def open_worker(job: Job) -> Callable[[Unit], Brief]:
    """What scores the units of a job in a worker.

    Raises:
        As `pixelwise.evaluation.runs.open_subject`.
    """
    scorer, receipts = _open(job), Receipts(job.output, job.name)
    return lambda unit: evaluate_shard(unit, scorer, receipts, job)


def _open(job: Job) -> Scorer:
    for address in job.given:
        place_of(address)
    return Scorer(job.open_subject(), job.options)


def _score_each(job: Job, places: Sequence[int]) -> Iterator[Found]:
    return _open(job).score_each(places)
