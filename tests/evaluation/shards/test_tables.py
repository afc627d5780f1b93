from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from pixelwise.evaluation.shards import tables
from pixelwise.evaluation.shards.tables import ImageTable
from pixelwise.evaluation.tally import Tally, task_of
from pixelwise.metrics import ScoredImage
from pixelwise.recipes.protocols import PROTOCOLS

NATIVE = PROTOCOLS["native"]


def table_of(folder: Path, counts: list[list[list[int]]], *, multilabel: bool = False) -> list[dict]:
    groups = {str(index): "even" if index % 2 == 0 else "odd" for index in range(len(counts))}
    tally = Tally(task_of(("a", "b"), NATIVE, multilabel=multilabel), "val", NATIVE, groups=groups)
    with ImageTable(folder / "t.parquet", tally) as table:
        for index, one in enumerate(counts):
            image = ScoredImage.of_counts(str(index), np.array(one), tally.task, index)
            tally.add_image(image, counts_only=True)
            table.add(image)
    return parquet.read_table(folder / "t.parquet").to_pylist()


def test_rows_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "_ROWS_TOGETHER", 2)
    rows = table_of(tmp_path, [[[5, 1], [2, 0]], [[0, 0], [0, 0]], [[3, 0], [0, 0]]])
    assert rows[0] == {
        "index": 0, "name": "0", "group": "even", "pixels": 8, "miou": (5 / 8 + 0) / 2, "pixel_accuracy": 5 / 8,
        "intersection_0": 5, "union_0": 8, "labelled_0": 6, "predicted_0": 7,
        "intersection_1": 0, "union_1": 3, "labelled_1": 2, "predicted_1": 1,
    }  # fmt: skip
    assert (rows[1]["group"], rows[1]["pixels"], rows[1]["miou"], rows[1]["union_0"]) == ("odd", 0, None, 0)
    assert (rows[2]["miou"], rows[2]["union_1"]) == (1.0, 0)


def test_rows_of_multi_label_data(tmp_path: Path):
    (row,) = table_of(tmp_path, [[[4, 1, 2, 3], [0, 0, 0, 10]]], multilabel=True)
    # True positives, false positives, false negatives, true negatives of two classes in ten pixels.
    assert (row["pixels"], row["intersection_0"], row["union_0"], row["labelled_0"]) == (10, 4, 7, 6)
    assert (row["predicted_0"], row["union_1"], row["miou"]) == (5, 0, 4 / 7)


def test_no_rows_are_a_table(tmp_path: Path):
    assert table_of(tmp_path, []) == []
