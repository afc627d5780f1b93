"""`pixelwise predict`: masks and overlays from the command line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_predict_through_windows(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    arguments = ["predict", run, tiny_data / "images" / "test", "--output", tmp_path / "out"]
    assert run_cli([*arguments, "--window", "48x32"]).code == 0
    refused = run_cli([*arguments, "--window", "48"])
    assert refused.code == 2
    assert "error[R223]: '48'" in refused.stderr
    refused = run_cli([*arguments, "--format", "voc"])
    assert refused.code == 2
    assert "error[R222]" in refused.stderr


def test_predict_counts_and_points_to_the_output(run_cli: Callable, run: Path, tiny_data: Path, tmp_path: Path):
    output = tmp_path / "out"
    code, stdout, _ = run_cli(["predict", run, tiny_data / "images" / "test", "--output", output])
    assert code == 0
    assert "3 images, 3 ok, 0 failed" in stdout
    assert len(list((output / "masks").rglob("*.png"))) == 3
