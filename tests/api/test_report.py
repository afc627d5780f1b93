import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_a_run_that_stopped_says_so_on_the_page_and_on_the_terminal(
    run_cli: Callable[..., Any], tiny_run: Path, tmp_path: Path
):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    recipe = (run / "recipe.toml").read_text("utf-8")
    (run / "recipe.toml").write_text(recipe.replace("iterations = 16", "iterations = 108"), "utf-8")
    lines = (run / "log.jsonl").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["kind"] not in ("finished", "evaluation")]
    (run / "log.jsonl").write_text("".join(kept), "utf-8")
    words = f"stopped at step 16 of 108 - pixelwise resume {run}"

    for arguments in (["report", run], ["evaluate", run, "--no-boundary"]):
        code, _, stderr = run_cli(arguments)
        assert code == 0, stderr
        assert words in stderr
        page = (run / "report.html").read_text("utf-8")
        assert words in page
    assert "saved last before this score, at step 16: no evaluation on val had taken place" in page
    assert "best of" not in page


def test_a_finished_run_says_nothing_of_that_kind(run_cli: Callable[..., Any], tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    code, _, stderr = run_cli(["evaluate", run, "--no-boundary"])
    assert (code, "stopped at" in stderr) == (0, False)
    assert "This run is not finished" not in (run / "report.html").read_text("utf-8")
