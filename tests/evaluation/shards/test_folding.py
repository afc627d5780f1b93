from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from evaluation.shards.subjects import grey_subject, left_in, opened, random_pairs

from pixelwise.evaluation import passes
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards.folding import fold
from pixelwise.evaluation.shards.work import evaluate_shard
from pixelwise.evaluation.subject import score
from pixelwise.observer import SILENT


def test_receipts_become_a_result_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passes, "BLOCK", 1)
    subject = grey_subject(tmp_path, random_pairs(5))
    job, scorer, receipts, units = opened(subject, tmp_path / "out")
    for unit in units[:2]:
        evaluate_shard(unit, scorer, receipts, job)
    assert fold(subject, scorer, units, receipts, job.options, SILENT) is None
    evaluate_shard(units[2], scorer, receipts, job)
    damaged = tmp_path / "out" / "receipts" / job.name / f"{units[1].name}.json"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-9])
    assert fold(subject, scorer, units, receipts, job.options, SILENT) is None
    assert not damaged.exists()
    assert not (tmp_path / "run").exists()
    damaged.write_bytes(whole)

    results = fold(subject, scorer, units, receipts, job.options, SILENT)
    assert results is not None
    folder = tmp_path / "run" / "evaluations" / "val-native"
    found = left_in(folder)
    rows = parquet.read_table(folder / "per_image.parquet").to_pylist()
    for name in ("result.json", "per_class.csv", "per_image.csv", "per_image_iou.csv", "per_image.parquet"):
        assert (tmp_path / "out" / "val-native" / name).read_bytes() == (folder / name).read_bytes()
    assert [row["name"] for row in rows] == [image.id for image in results[0].per_image]
    assert results[0].seconds == pytest.approx(
        sum(one.seconds for unit in units if (one := receipts.receipt(unit.name)) is not None)
    )

    score(subject, EvaluateOptions())  # without units there is no such table, and an old one would be a lie
    assert not (folder / "per_image.parquet").exists()
    assert left_in(folder) == found


def test_masks_whose_values_mean_something_else_are_no_result(tmp_path: Path):
    def refuse() -> None:
        raise LookupError

    subject = grey_subject(tmp_path, random_pairs(2))
    job, scorer, receipts, units = opened(subject, tmp_path / "out")
    evaluate_shard(units[0], scorer, receipts, job)
    subject = type(subject)(**{name: getattr(subject, name) for name in subject.__struct_fields__} | {"refuse": refuse})
    with pytest.raises(LookupError):
        fold(subject, scorer, units, receipts, job.options, SILENT)
    assert not (tmp_path / "run").exists()
