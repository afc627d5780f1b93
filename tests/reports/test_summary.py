import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_training_ends_with_a_table_and_a_report(run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = tmp_path / "run"
    code, stdout, _ = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", run, "schedule.iterations=2"])
    assert code == 0
    assert "mIoU" in stdout
    assert "test, native, 3 images" in stdout
    assert str(run / "report.html") in stdout
    assert (run / "report.html").is_file()


def test_evaluate_prints_a_table_or_json(run_cli: Callable, run: Path):
    table = run_cli(["evaluate", run])
    assert table.code == 0
    assert "ball" in table.stdout
    data = run_cli(["evaluate", run, "--split", "val", "--json"])
    assert json.loads(data.stdout)["split"] == "val"


def test_predict_counts_and_points_to_the_output(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    output = tmp_path / "out"
    code, stdout, _ = run_cli(["predict", run, tiny_data / "images" / "test", "--output", output])
    assert code == 0
    assert "3 images, 3 ok, 0 failed" in stdout
    assert len(list((output / "masks").rglob("*.png"))) == 3


def test_report_is_written_again(run_cli: Callable, run: Path):
    run_cli(["evaluate", run])
    (run / "report.html").unlink()
    code, stdout, _ = run_cli(["report", run])
    assert code == 0
    assert stdout.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size > 1000
