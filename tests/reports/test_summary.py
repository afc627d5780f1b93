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


def test_evaluate_prints_a_table_per_protocol(run_cli: Callable, run: Path):
    protocols = ["--protocol", "native", "--protocol", "camvid-480x360"]
    code, stdout, _ = run_cli(["evaluate", run, *protocols, "--no-boundary", "--calibration"])
    assert code == 0
    assert "test, native, 3 images" in stdout
    assert "test, camvid-480x360, 3 images" in stdout
    assert stdout.count("mIoU 95 % over images") == 2
    assert "calibration error" in stdout
    assert "boundary" not in stdout
    data = run_cli(["evaluate", run, *protocols, "--json"])
    assert [result["protocol"] for result in json.loads(data.stdout)] == ["native", "camvid-480x360"]


def test_predict_through_windows(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    arguments = ["predict", run, tiny_data / "images" / "test", "--output", tmp_path / "out"]
    assert run_cli([*arguments, "--window", "48x32"]).code == 0
    refused = run_cli([*arguments, "--window", "48"])
    assert refused.code == 2
    assert "error[R223]: '48' is no size" in refused.stderr
    refused = run_cli([*arguments, "--format", "voc"])
    assert refused.code == 2
    assert "error[R222]" in refused.stderr


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
