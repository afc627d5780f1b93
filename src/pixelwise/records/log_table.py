"""`log.csv`: the steps and evaluations of a run as a table, for spreadsheets and notebooks; `log.jsonl` holds more."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord, read_log
from pixelwise.storage import write_text
from pixelwise.storage.atomic import full_disk_explained
from pixelwise.storage.cells import cell

TABLE = "log.csv"
COLUMNS = ("step", "epoch", "loss", "lr", "grad_norm", "split", "miou", "pixel_accuracy")


def write_table(run: Path, classes: Sequence[str]) -> None:
    """Write the table of a run from its log, replacing an older one.

    Args:
        run: The run folder.
        classes: Class names; each has a column with its IoU.

    Raises:
        ResourceError: S601, the disk is full.
        OSError: The file cannot be written, for example because a spreadsheet keeps it open.
    """
    header = [*COLUMNS, *(f"iou {name}" for name in classes)]
    write_text(run / TABLE, _lines([header, *_rows(read_log(run).records, classes)]))


def append_table(run: Path, records: Iterable[AnyRecord], classes: Sequence[str]) -> None:
    """Append a row for each step and each evaluation, undefined values as empty cells.

    Args:
        run: The run folder, with a table.
        records: Records of the log, in order; those of other kinds are left out.
        classes: The same class names as in `write_table`.

    Raises:
        ResourceError: S601, the disk is full.
        OSError: The file cannot be written.
    """
    path, rows = run / TABLE, _lines(_rows(records, classes))
    if rows:
        with full_disk_explained(path), open(path, "a", encoding="utf-8", newline="") as file:
            file.write(rows)


def _rows(records: Iterable[AnyRecord], classes: Sequence[str]) -> Iterator[list[Any]]:
    for record in records:
        if isinstance(record, StepRecord):
            norm = record.grad_norm
            yield [record.step, record.epoch, record.loss, record.lr, norm, "", "", "", *[""] * len(classes)]
        elif isinstance(record, EvaluationRecord):
            ious = (*record.per_class_iou, *[None] * len(classes))[: len(classes)]
            yield [record.step, "", "", "", "", record.split, record.miou, record.pixel_accuracy, *ious]


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([cell(math.nan if value is None else value) for value in row])
    return text.getvalue()
