"""The end of an evaluation by units: all receipts together give the result that one process has."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards.receipts import Receipts
from pixelwise.evaluation.shards.states import take_in
from pixelwise.evaluation.shards.tables import ImageTable
from pixelwise.evaluation.shards.units import Unit
from pixelwise.evaluation.shards.work import Scorer
from pixelwise.evaluation.subject import Subject, save
from pixelwise.evaluation.tally import Measurement, Tally
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.observer import Observer
from pixelwise.records.evaluations import IMAGES
from pixelwise.records.result import PER_CLASS, PER_IMAGE, PER_IMAGE_IOU, RESULT, Result

_COPIED = (PER_CLASS, PER_IMAGE, PER_IMAGE_IOU, IMAGES, RESULT)
"""Files of an evaluation that are put into the output as well, the result last."""


def fold(
    subject: Subject,
    scorer: Scorer,
    units: Sequence[Unit],
    receipts: Receipts,
    options: EvaluateOptions,
    observer: Observer,
) -> list[Result] | None:
    """Add up the receipts of all units, and save the results.

    Several workers may do this at the same time; they write the same.

    Args:
        subject: What was scored.
        scorer: Its network and data.
        units: All units.
        receipts: Their receipts.
        options: Options of the evaluation.
        observer: Receives the phase and progress.

    Returns:
        One result per protocol; None if a receipt is missing, or was damaged and is now removed.

    Raises:
        DataError: The values of the masks, taken together, mean something else than they say.
        RecipeError: R240, pyarrow is not installed.
        ResourceError: S601, the disk is full; S611, the output cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch, Thumbnails() as thumbnails:
        tables = [Path(scratch) / f"{number}.parquet" for number in range(len(subject.protocols))]
        measured = _added(scorer.tallies(), units, receipts, tables, thumbnails)
        if measured is None:
            return None
        if subject.refuse is not None:
            subject.refuse()
        saved = save(subject, options, measured, thumbnails, observer, tables=tables)
    if options.output is not None:
        with receipts.answering():
            for folder in (folder for _, folder in saved if folder is not None):
                for name in _COPIED:
                    receipts.store.put(f"{folder.name}/{name}", folder / name)
    receipts.tidy({unit.name for unit in units})
    return [result for result, _ in saved]


class _Cost(NamedTuple):
    """Time of all workers together, and the largest memory of one."""

    seconds: float = 0.0
    memory: int = 0


def _added(
    tallies: Sequence[Tally],
    units: Sequence[Unit],
    receipts: Receipts,
    tables: Sequence[Path],
    thumbnails: Thumbnails,
) -> list[Measurement] | None:
    """The measurements of all receipts together; None if one is missing."""
    cost = _Cost()
    with contextlib.ExitStack() as stack:
        rows = [stack.enter_context(ImageTable(file, one)) for file, one in zip(tables, tallies, strict=True)]
        for unit in units:
            receipt = receipts.receipt(unit.name)
            if receipt is None:
                return None
            for tally, some, table in zip(tallies, receipt.counted, rows, strict=True):
                take_in(tally, some, table.add)
            thumbnails.put(receipt.thumbnails)
            cost = _Cost(cost.seconds + receipt.seconds, max(cost.memory, receipt.peak_memory_bytes))
    return [msgspec.structs.replace(tally.measurement(cost.memory), seconds=cost.seconds) for tally in tallies]
