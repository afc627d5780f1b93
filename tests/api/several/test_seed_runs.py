import os
from pathlib import Path

import numpy as np
import pytest
from compared_runs import drawn, iou_of, scored_run

import pixelwise
from pixelwise.api.several.seed_runs import write_summary
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.records.seeds.folder import record, run_of, write_seeds

TRUTH = np.full((20, 3), 100)


def matrices(seed: int) -> np.ndarray:
    return drawn(np.random.default_rng(seed), TRUTH, np.array([0.9, 0.8, 0.7]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_seeds(tmp_path / "out", record(pixelwise.recipe("unet"), (0, 1, 2), [], None, {}))
    for seed in range(2):
        scored_run(run_of(tmp_path / "out", seed), matrices(seed), seed)
    return tmp_path / "out"


def test_runs_and_their_summary(folder: Path):
    found = pixelwise.SeedRuns(folder)
    assert os.fspath(found) == str(folder)
    assert found.seeds == (0, 1, 2)
    assert [run.name for run in found.runs] == ["seed-0", "seed-1"]
    (side,) = found.summary.sides
    scores = [iou_of(matrices(seed)).mean() for seed in range(2)]
    assert side.miou.value == pytest.approx(np.mean(scores))
    assert side.deviation == pytest.approx(np.std(scores, ddof=1))
    assert side.name == "out"
    assert "2 of 3 runs; mIoU " in repr(found)
    assert "<table>" in found._repr_html_()


def test_the_page_links_to_the_reports(folder: Path):
    (folder / "seed-1" / "report.html").touch()
    page = write_summary(folder)
    assert page == pixelwise.SeedRuns(folder).report == folder / "report.html"
    assert 'href="seed-1/report.html"' in page.read_text("utf-8")
    assert "seed-0/report.html" not in page.read_text("utf-8")
    assert (folder / "summary.json").is_file()


def test_a_folder_that_holds_none(tmp_path: Path, folder: Path):
    with pytest.raises(CheckpointError) as caught:
        pixelwise.SeedRuns(tmp_path)
    assert caught.value.code == "K420"
    (folder / "seed-1" / "recipe.toml").unlink()
    with pytest.raises(RecipeError):
        _ = pixelwise.SeedRuns(folder).summary
    assert "not all scored" in repr(pixelwise.SeedRuns(folder))
    (folder / "seeds.json").write_text("{")
    assert "damaged" in repr(pixelwise.SeedRuns(folder))
