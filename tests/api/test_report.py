import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import pixelwise
from pixelwise.errors import CheckpointError


def test_a_report_is_written_from_the_run_folder_alone(tiny_run: Path, tmp_path: Path, run_cli: Callable):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    assert pixelwise.write_report(str(run)) == run / "report.html"
    before = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    code, stdout, _ = run_cli(["report", run])
    assert (code, stdout.strip()) == (0, str(run / "report.html"))
    assert (run / "report.html").read_text("utf-8") == before


def test_a_folder_that_is_no_run_has_no_report(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        pixelwise.write_report(tmp_path)
    assert caught.value.code == "K420"
