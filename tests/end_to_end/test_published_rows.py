"""Published rows from end to end on miniatures, one row per distinct pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.testing.rows import distinct_pipelines, published_rows, try_row

# Rows that are cheap to run and together cover the data sets of all rows.
QUICK = ("enet-camvid", "unetlite-mobilenetv2-ade20k32-512x512", "deeplabv3-mobilenetv2-050-voc")


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("miniatures")


@pytest.mark.parametrize("name", QUICK)
def test_a_row_runs_from_audit_to_result(name: str, miniatures: Path, tmp_path: Path) -> None:
    trial = try_row(name, miniatures, tmp_path / "run")
    assert trial.images > 0
    assert (tmp_path / "run" / "evaluations" / f"{_split(name)}-{trial.protocol}" / "result.json").is_file()


@pytest.mark.heavy
@pytest.mark.parametrize("name", distinct_pipelines())
def test_a_row_of_each_pipeline_runs_from_audit_to_result(name: str, miniatures: Path, tmp_path: Path) -> None:
    assert try_row(name, miniatures, tmp_path / "run").images > 0


def test_every_row_shares_a_pipeline_with_one_that_is_tried() -> None:
    tried = [name for names in distinct_pipelines().values() for name in names.split(", ")]
    assert sorted(tried) == sorted(published_rows())


def _split(name: str) -> str:
    return "test" if name == "enet-camvid" else "val"
