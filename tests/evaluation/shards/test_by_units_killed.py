"""Evaluations by units whose workers are killed, by the command line and by Ray."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evaluation.shards.subjects import left_in
from prediction.shards.killing import killed_workers

import pixelwise

KILLER = """
import os, signal, sys
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("images/train/02.png"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of a run of one name, so that both have the same commands in their results."""
    places = [tmp_path / name / "run" for name in ("one", "parts")]
    for place in places:
        shutil.copytree(tiny_run, place)
    return places[0], places[1]


def evaluation(run: Path) -> dict[str, bytes]:
    return {
        name: content.replace(os.fsencode(run), b"RUN")
        for name, content in left_in(run / "evaluations" / "train-native").items()
    }


@pytest.mark.heavy  # processes that import PyTorch
def test_a_command_that_is_killed_goes_on(runs: tuple[Path, Path], tmp_path: Path):
    one, parts = runs
    pixelwise.evaluate(one, split="train")
    output = tmp_path / "out"
    command = [sys.executable, "-m", "pixelwise", "evaluate", parts, "--split", "train", "--output", output]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(output.glob("receipts/*/*.json")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("receipts/*/*.json")}
    assert before
    pixelwise.evaluate(parts, split="train", output=output)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("receipts/*/*.json")}
    assert before.items() <= after.items()
    assert evaluation(parts) == evaluation(one)


@pytest.mark.fuzz  # Ray starts in ten seconds, and each worker in five
def test_workers_of_ray_that_are_killed_leave_what_one_process_leaves(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("ray")
    one, parts = runs
    pixelwise.evaluate(one, split="train", calibration=True, group=r"\d$")
    with killed_workers() as killed:
        found = pixelwise.evaluate(parts, split="train", calibration=True, group=r"\d$", engine="ray", workers=1)
    assert killed
    assert isinstance(found, pixelwise.Result)
    assert evaluation(parts) == evaluation(one)


@pytest.mark.heavy  # a dozen processes that import PyTorch
def test_an_image_that_ends_the_process_is_named(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER)
    path = f"{tmp_path / 'killer'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "pixelwise", "evaluate", runs[1], "--split", "train", "--shard", "0/1"]
    for attempt in range(3):
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
        assert (done.returncode == 3) == (attempt == 2)
    assert "D137" in done.stderr
    assert "train/02.png (D136)" in done.stderr
    result = pixelwise.evaluate(runs[1], split="train", shard="0/1")  # here no image ends the process
    assert isinstance(result, pixelwise.Result)
