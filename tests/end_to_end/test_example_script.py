"""The script that shows the package from Python runs, on data in miniature."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "from_python.py"


def test_the_example_goes_from_images_to_masks(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = importlib.util.spec_from_file_location("from_python", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    short = {
        "schedule.iterations": 2,
        "selection.every_epochs": 0,
        "selection.weights": "last",
        "sampling.batch_size": 2,
        "precision.dtype": "float32",  # otherwise all of them are timed first
    }

    run = module.main(tiny_data, tmp_path, overrides=short, weights="none", threads=1)

    said = capsys.readouterr().out
    assert said.startswith(str(tmp_path / "run"))
    assert "  ball: IoU" in said
    assert f"the report is {run / 'report.html'}" in said
    assert len(list((tmp_path / "predictions").glob("*.png"))) == 3
    assert len(list((tmp_path / "predictions").glob("*.jpg"))) == 3
