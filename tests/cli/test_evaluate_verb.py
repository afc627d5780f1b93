"""`pixelwise evaluate`: tables, JSON, protocols and metrics from the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.mark.heavy
def test_evaluate_prints_a_table_or_json(run_cli: Callable, run: Path):
    table = run_cli(["evaluate", run])
    assert table.code == 0
    assert "ball" in table.stdout
    data = run_cli(["evaluate", run, "--split", "val", "--json"])
    assert json.loads(data.stdout)["split"] == "val"


@pytest.mark.heavy
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
