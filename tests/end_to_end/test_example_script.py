"""The script that shows the package from Python runs, on data in miniature."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import pixelwise

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


def test_the_page_about_python_names_what_exists():
    page = (SCRIPT.parents[1] / "docs" / "python.md").read_text("utf-8")
    named = {(owner, name) for owner, name in re.findall(r"\b(pixelwise|run|prediction|one)\.([a-z_]+)", page)}
    owners = {
        "pixelwise": pixelwise,
        "run": pixelwise.Run,
        "prediction": pixelwise.Prediction,
        "one": pixelwise.Prediction,
    }
    assert {("run", "compare"), ("prediction", "polygons"), ("one", "save"), ("pixelwise", "split")} <= named
    fields = {*pixelwise.Prediction.__dataclass_fields__}
    assert [pair for pair in sorted(named) if not hasattr(owners[pair[0]], pair[1]) and pair[1] not in fields] == []
