"""`pixelwise train` and `pixelwise report` from the command line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.mark.heavy
def test_training_ends_with_a_table_and_a_report(run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = tmp_path / "run"
    code, stdout, _ = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", run, "schedule.iterations=2"])
    assert code == 0
    assert "mIoU" in stdout
    assert "test, native, 3 images" in stdout
    assert str(run / "report.html") in stdout
    assert (run / "report.html").is_file()


@pytest.mark.heavy
def test_report_is_written_again(run_cli: Callable, run: Path):
    run_cli(["evaluate", run])
    (run / "report.html").unlink()
    code, stdout, _ = run_cli(["report", run])
    assert code == 0
    assert stdout.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size > 1000
