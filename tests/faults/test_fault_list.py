"""The list of faults in `docs/faults.md`, compared with the tests; and the tests of those that have no other place."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pixelwise.checkpoints.checkpoint import list_checkpoints, newest_checkpoint
from pixelwise.training import loop

ROOT = Path(__file__).resolve().parents[2]
LINES = [
    line for line in (ROOT / "docs" / "faults.md").read_text("utf-8").splitlines() if re.match(r"\| [A-D]?\d", line)
]
IDS = {*(f"A{number}" for number in range(1, 16)), *(f"B{number}" for number in range(1, 13)),
       *(f"C{number}" for number in range(1, 18)), *(f"D{number}" for number in range(1, 10))}  # fmt: skip


def test_every_fault_is_listed():
    assert {line.split("|")[1].strip() for line in LINES} >= IDS


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip())
def test_every_row_names_tests_that_exist_or_says_why_there_is_none(line: str):
    cell = line.split("|")[3]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)
    assert named or "No test" in cell or "see D" in cell
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (file, name)


@pytest.mark.heavy
def test_A15_an_image_that_is_replaced_during_training_is_named(
    run_cli: Callable, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    root = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    original = loop.train_step

    def step(recipe, state, *rest, **options):
        if state.progress.step == 4:
            for path in (root / "images" / "train").iterdir():
                Image.new("RGB", (20, 30)).save(path)
        return original(recipe, state, *rest, **options)

    monkeypatch.setattr(loop, "train_step", step)
    # Nothing is kept in memory, so that every epoch reads the files.
    monkeypatch.setattr("pixelwise.training.decoded_cache.fits_in_memory", lambda *arguments: False)
    command = ["train", tiny_recipe, "--data", root, "--output", tmp_path / "run", "data.workers=0"]
    code, _, stderr = run_cli(command)
    assert code == 3, stderr
    assert "error[D201]" in stderr
    assert str(root / "masks" / "train") in stderr or str(root / "images" / "train") in stderr


@pytest.mark.heavy
def test_C13_a_clock_that_runs_backwards_changes_nothing(
    run_cli: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tiny_run: Path,
    tiny_data: Path,
    tiny_recipe: Path,
    tmp_path: Path,
):
    start, calls = time.time(), []

    def an_hour_earlier_every_time() -> float:
        calls.append(1)
        return start - 3600 * len(calls)

    monkeypatch.setattr(time, "time", an_hour_earlier_every_time)
    run = tmp_path / "run"
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", run])
    assert code == 0, stderr
    assert calls, "nothing reads the clock"
    newest, before = newest_checkpoint(run / "checkpoints"), newest_checkpoint(tiny_run / "checkpoints")
    assert newest is not None
    assert before is not None
    assert newest.sha256("model") == before.sha256("model")
    durations = [
        value
        for line in (run / "log.jsonl").read_text("utf-8").splitlines()
        for key, value in json.loads(line).items()
        if "seconds" in key
    ]
    for path in run.glob("evaluations/*/result.json"):
        durations.append(json.loads(path.read_text("utf-8"))["seconds"])
    assert durations
    assert all(0 <= seconds < 1000 for seconds in durations)


@pytest.mark.parametrize("direction", [1, -1])
def test_C13_checkpoints_are_ordered_by_step_whatever_their_times(direction: int, tiny_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    listed = list_checkpoints(run / "checkpoints")
    steps = [manifest.step for _, manifest in listed]
    assert len(steps) > 1
    for number, (folder, _) in enumerate(listed):
        then = time.time() + direction * 10**8 * (len(listed) - number)
        for path in (folder, *folder.iterdir()):
            os.utime(path, (then, then))
    assert [manifest.step for _, manifest in list_checkpoints(run / "checkpoints")] == steps
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.step == max(steps)


def test_D5_a_key_given_twice_is_refused(run_cli: Callable, tmp_path: Path):
    recipe = tmp_path / "twice.toml"
    recipe.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\nlr = 0.2\n')
    code, _, stderr = run_cli(["show", recipe])
    assert code == 2
    assert "twice.toml" in stderr
    assert "line 4" in stderr
