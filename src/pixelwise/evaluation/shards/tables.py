"""`per_image.parquet`: a row per image with its counts, for other programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pixelwise.datasets.shards.packages import parquet
from pixelwise.evaluation.tally import Tally
from pixelwise.metrics import ScoredImage
from pixelwise.metrics.scores import ClassTotals

_ROWS_TOGETHER = 4096


class ImageTable:
    """The table of an evaluation under one protocol, written row by row.

    The columns are `index` (position in the split), `name` (id), `group` (null without groups), `pixels` (labelled
    pixels), `miou` and `pixel_accuracy` (0..1, null if undefined), and for each class K `intersection_K`, `union_K`,
    `labelled_K` and `predicted_K`, in pixels.

    Args:
        file: The file to write.
        tally: The tally to which the images are added.

    Raises:
        RecipeError: R240, pyarrow is not installed.
    """

    def __init__(self, file: Path, tally: Tally) -> None:
        self._arrow, files, _ = parquet()
        self._tally, self._rows = tally, []
        arrow, classes = self._arrow, len(tally.task.classes)
        columns = {"index": arrow.int64(), "name": arrow.string(), "group": arrow.string(), "pixels": arrow.int64()}
        columns |= {"miou": arrow.float64(), "pixel_accuracy": arrow.float64()}
        columns |= {f"{kind}_{k}": arrow.int64() for k in range(classes) for kind in _KINDS}
        self._schema = arrow.schema(list(columns.items()))
        self._writer = files.ParquetWriter(file, self._schema, compression="zstd")

    def __enter__(self) -> ImageTable:
        """The table, open for rows."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Complete the file."""
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, image: ScoredImage) -> None:
        """Add the row of an image that the tally has."""
        score, groups = self._tally.scores[image.index], self._tally.group_of
        group = None if groups is None else groups[score.id]
        defined = [None if math.isnan(value) else value for value in (score.miou, score.pixel_accuracy)]
        counts = np.stack(_columns(image.totals), axis=1).ravel().tolist()
        self._rows.append((image.index, score.id, group, score.labelled_pixels, *defined, *counts))
        if len(self._rows) == _ROWS_TOGETHER:
            self._flush()

    def _flush(self) -> None:
        columns: Sequence[Any] = list(zip(*self._rows, strict=True)) or [()] * len(self._schema.names)
        named = dict(zip(self._schema.names, columns, strict=True))
        self._writer.write_table(self._arrow.table(named, schema=self._schema))
        self._rows.clear()


_KINDS = ("intersection", "union", "labelled", "predicted")


def _columns(totals: ClassTotals) -> tuple[np.ndarray, ...]:
    return totals.right, totals.unions, totals.labelled, totals.predicted
