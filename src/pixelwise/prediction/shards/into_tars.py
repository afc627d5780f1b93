"""Prediction into tars: which units there are, which are done, who does the others, and what is said at the end."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.shards.packages import parquet
from pixelwise.errors import DataError, RecipeError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.observer import Observer
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.predict import PREDICTING, apply_options, classes_document
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.receipts.ledger import Facts
from pixelwise.prediction.receipts.summaries import PredictSummary, Record
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.shards.commits import Commits, Predicted, Receipt
from pixelwise.prediction.shards.listing import finish
from pixelwise.prediction.shards.progress import UnitsProgress
from pixelwise.prediction.shards.units import Unit, find_units
from pixelwise.prediction.shards.work import Job, open_worker, predict_shard
from pixelwise.prediction.videos.recognising import refuse_into_tars
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import address_of, place_of, with_access

Receipts = Generator[Receipt, None, None]
PredictUnits = Callable[[Sequence[Unit], Job, Commits, Observer], Receipts]
"""Predicts units, in any order: the engine `here`, or `ray`."""
_READ_TOGETHER = 32


def predict_into_tars(
    segmenter: Segmenter,
    run: Path,
    paths: Sequence[str | os.PathLike[str]],
    output: Path,
    options: PredictOptions,
    observer: Observer,
) -> PredictSummary:
    """Predict images, and write masks and overlays into tars of a folder or an object store.

    A unit of images, those of one tar or about 256 of a folder, becomes one tar `UNIT-....tar` in WebDataset naming
    (`KEY.mask.png`, `KEY.overlay.jpg`) and a receipt in `receipts/`. Units that have one are not predicted again, so
    the same call goes on where it was stopped, and several workers share the work. When all are done,
    `predictions.parquet` lists every image with the place of its files and the pixels of each class.

    Args:
        segmenter: Segmenter that predicts in this process.
        run: Run or artefact that it was loaded from, which workers load, too.
        paths: Image files, folders, patterns, and folders and addresses of data in shards.
        output: Folder or address.
        options: Options of the prediction.
        observer: Receives progress and warnings.

    Raises:
        DataError: D285, one of `paths` is a video; others as `find_units` and `predict_shard`.
        RecipeError: R220, the output is one of `paths`; R221, it holds other predictions; R222, the mask format belongs
            to a data set with other classes; R240, a package is missing.
        ResourceError: S601, a disk is full; S611, the output cannot be written.
    """
    start = time.monotonic()
    apply_options(options, segmenter)
    segmenter.warn = Once(observer.warn)
    _refuse_input(paths, output)
    refuse_into_tars(paths)
    parquet()
    found = find_units(paths)
    share = options.share
    mine = found.units if share is None else share.of(found.units)
    given = tuple(with_access(one) for one in map(address_of, (*map(place_of, paths), output)) if one is not None)
    job = Job(job_of(segmenter, options), run.absolute(), options, output, given)
    commits = Commits(output, job.name)
    commits.claim(classes_document(segmenter, options).encode())
    record = Record(strict=options.strict, write=lambda problem: None)
    if share is None or share.number == 0:
        for one in found.problems:
            record.problem(one.files[0] if one.files else "", DataError(one.code, one.message, one.fix))
    unreadable = record.failures
    observer.phase(PREDICTING)
    work = _Work(job, commits, _over_ray if options.engine == "ray" else _here(segmenter))
    briefs, kept = work.do(mine, observer, unreadable)
    for unit in mine:
        _note(record, briefs[unit.name])
    if commits.done() >= {unit.name for unit in found.units}:
        finish(commits, found.units, len(segmenter.classes))
    left_out = found.left_out if share is None or share.number == 0 else []
    total = sum(brief.images for brief in briefs.values()) + unreadable
    summary = record.summary(total, kept, left_out, observer)
    return msgspec.structs.replace(summary, seconds=time.monotonic() - start)


class _Work(NamedTuple):
    """How units are predicted."""

    job: Job
    commits: Commits
    predict: PredictUnits

    def do(self, units: Sequence[Unit], observer: Observer, unreadable: int) -> tuple[dict[str, _Brief], int]:
        """Predict the units that are not done; what became of each of all, and how many images were done before.

        Args:
            units: All units.
            observer: Receives progress.
            unreadable: Number of entries that are counted and cannot be read.
        """
        done = self.commits.done()
        names = [unit.name for unit in units if unit.name in done]
        briefs = {receipt.unit: _brief(receipt) for receipt in _read(self.commits, names)}
        kept = sum(one.images for one in briefs.values())
        left = [unit for unit in units if unit.name not in briefs]
        total = sum(len(unit.pictures) for unit in units) + unreadable
        progress = UnitsProgress(observer, kept + unreadable, total)
        with contextlib.closing(self.predict(left, self.job, self.commits, progress)) as receipts:
            for receipt in receipts:
                briefs[receipt.unit] = _brief(receipt)
                progress.unit_done(len(receipt.images))
        return briefs, kept


def _refuse_input(paths: Sequence[str | os.PathLike[str]], output: Path) -> None:
    for path in paths:
        place = place_of(path)
        same = place == output if address_of(output) else os.path.realpath(place) == os.path.realpath(output)
        if same:
            raise RecipeError(
                "R220",
                f"{printable(place)} is the folder to which predictions are written",
                "choose another `output`, so that no input is overwritten",
            )


def _here(segmenter: Segmenter) -> PredictUnits:
    """The engine that predicts the units in this process, one after the other."""

    def predict(units: Sequence[Unit], job: Job, commits: Commits, observer: Observer) -> Receipts:
        engine = Engine(segmenter)
        for unit in units:
            yield predict_shard(unit, engine, commits, job, observer)

    return predict


def _over_ray(units: Sequence[Unit], job: Job, commits: Commits, observer: Observer) -> Receipts:
    # Imported here: Ray takes seconds to import, and is not a package that everybody has.
    from pixelwise.prediction.shards.ray_engine import over_ray

    return over_ray(units, functools.partial(open_worker, job), Receipt, job.options)


class _Brief(NamedTuple):
    """What the summary needs of a receipt: the number of its images, and those of which there is something to say."""

    images: int
    remarkable: tuple[Predicted, ...]


def _brief(receipt: Receipt) -> _Brief:
    remarkable = tuple(one for one in receipt.images if one.problem is not None or one.facts != Facts())
    return _Brief(len(receipt.images), remarkable)


def _read(commits: Commits, units: Sequence[str]) -> Iterator[Receipt]:
    """The receipts of units that are done, but of those whose receipt was damaged."""
    with thread_pool(_READ_TOGETHER) as pool:
        for receipt in pool.map(commits.receipt, units):
            if receipt is not None:
                yield receipt


def _note(record: Record, brief: _Brief) -> None:
    for image in brief.remarkable:
        if image.problem is not None:
            record.failed(image.problem)
        else:
            record.note(image.name, image.facts)
