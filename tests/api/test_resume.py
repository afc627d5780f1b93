import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import pixelwise
from pixelwise.records.evaluations import find_result
from pixelwise.records.log import FinishedRecord, read_log


@pytest.mark.heavy
def test_a_resumed_run_is_scored_again(tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    assert pixelwise.resume(run, overrides=["schedule.iterations=18"]) == run
    assert [record.step for record in read_log(run).of(FinishedRecord)] == [16, 18]
    result = find_result(run, "test", "native")
    assert result is not None
    assert result.training is not None
    assert result.training.steps == 18
    assert (run / "report.html").is_file()


@pytest.mark.heavy
def test_the_verb_shows_the_scores(run_cli: Callable, tiny_run: Path, tiny_data: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    moved = Path(shutil.copytree(tiny_data, tmp_path / "moved"))
    code, stdout, stderr = run_cli(["resume", run, "--data", moved, "--device", "cpu"])
    assert code == 0, stderr
    assert "test, native, 3 images" in stdout
    (run / "report.html").unlink()
    code, stdout, _ = run_cli(["resume", run, "--no-evaluate"])
    assert code == 0
    assert not (run / "report.html").exists()


def test_a_finished_run_is_not_scored_again(run_cli: Callable, tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    assert run_cli(["resume", run]).code == 0  # it had not been scored
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code, stdout, stderr = run_cli(["resume", run])
    assert (code, "finished already" in stderr) == (0, True)
    assert "test, native, 3 images" in stdout
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
