"""The table of all images, and the list of the bad ones, that end a prediction into tars."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.datasets.shards.facts import pixel_columns
from pixelwise.datasets.shards.packages import parquet
from pixelwise.prediction.shards.commits import Commits, Predicted, Receipt
from pixelwise.prediction.shards.units import Unit
from pixelwise.records.problems import PROBLEMS

TABLE = "predictions.parquet"
"""A row per image: where its files are, and how many pixels each class has."""
_ROWS_TOGETHER = 65_536
_HASH_BYTES = 32


def finish(commits: Commits, units: Sequence[Unit], number_of_classes: int) -> None:
    """Write `predictions.parquet` and `problems.jsonl`, and remove what nothing refers to.

    Several workers may do this at the same time; they write the same.

    Args:
        commits: The receipts of the job; those of all units are there.
        units: All units.
        number_of_classes: Number of classes of the network.

    Raises:
        RecipeError: R240, pyarrow is not installed.
        ResourceError: S611, the output cannot be read or written.
    """
    _retire(commits, units)
    tars: dict[str, str] = {}

    def receipts() -> Iterable[Receipt]:
        for unit in units:
            receipt = commits.receipt(unit.name)
            if receipt is not None:
                tars[unit.name] = receipt.tar
                yield receipt

    with tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch:
        table, problems = Path(scratch) / TABLE, Path(scratch) / PROBLEMS
        bad = _write(table, problems, receipts(), number_of_classes)
        with commits.answering():
            commits.store.put(TABLE, table)
            if bad:
                commits.store.put(PROBLEMS, problems)
            else:
                commits.store.remove(PROBLEMS)
    commits.tidy(tars)


def _retire(commits: Commits, units: Sequence[Unit]) -> None:
    """Remove what was written for images that have changed since, or that are in another unit now."""
    stale = commits.done() - {unit.name for unit in units}
    if not stale:
        return
    names = {picture.name for unit in units for picture in unit.pictures}
    for unit in sorted(stale):
        receipt = commits.receipt(unit)
        if receipt is not None and any(image.name in names for image in receipt.images):
            commits.retire(receipt)


def _write(table: Path, problems: Path, receipts: Iterable[Receipt], number_of_classes: int) -> bool:
    arrow, files, _ = parquet()
    schema = _schema(arrow, number_of_classes)
    bad, rows = False, []
    with files.ParquetWriter(table, schema, compression="zstd") as writer, open(problems, "wb") as lines:

        def flush() -> None:
            columns = {name: [row[name] for row in rows] for name in schema.names}
            writer.write_table(arrow.table(columns, schema=schema))
            rows.clear()

        for receipt in receipts:
            for image in receipt.images:
                rows.append(_row(receipt, image, number_of_classes))
                if image.problem is not None:
                    bad = True
                    lines.write(msgspec.json.encode(image.problem) + b"\n")
            if len(rows) >= _ROWS_TOGETHER:
                flush()
        flush()
    return bad


def _row(receipt: Receipt, image: Predicted, number_of_classes: int) -> dict[str, Any]:
    counts = image.pixels or (None,) * (number_of_classes + 1)
    return {
        "name": image.name,
        "key": image.key,
        "tar": receipt.tar if image.files else None,
        "files": [
            {
                "role": role,
                "name": one.name,
                "offset": one.offset,
                "size": one.size,
                "sha256": bytes.fromhex(one.sha256),
            }
            for role, one in image.files.items()
        ],
        "problem": image.problem.code if image.problem is not None else None,
        **dict(zip(pixel_columns(number_of_classes), counts, strict=True)),
    }


def _schema(arrow: Any, number_of_classes: int) -> Any:
    file = arrow.struct(
        [
            ("role", arrow.string()),
            ("name", arrow.string()),
            ("offset", arrow.int64()),
            ("size", arrow.int64()),
            ("sha256", arrow.binary(_HASH_BYTES)),
        ]
    )
    kinds = {
        "name": arrow.string(),
        "key": arrow.string(),
        "tar": arrow.string(),
        "files": arrow.list_(file),
        "problem": arrow.string(),
    }
    kinds |= dict.fromkeys(pixel_columns(number_of_classes), arrow.int64())
    return arrow.schema(list(kinds.items()))
