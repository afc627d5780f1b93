"""Files that never answer: a pipe in place of any file is refused or passed over at once; a stalled drive is mentioned
after a while, and Ctrl-C ends the program.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pixelwise.deployment.export.export import export
from pixelwise.testing.miniatures import write_miniature

SECONDS = 60
"""Time after which a command counts as hanging."""


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def ends(run_cli: Callable, pipes: list[Path], arguments: list):
    """The result of a command, which fails if it still waits for a pipe after `SECONDS`."""
    hung = threading.Event()

    def release() -> None:
        hung.set()
        for path in pipes:
            with open(path, "r+b", buffering=0):  # a writer: what waits in `open` goes on and reads nothing
                time.sleep(1)

    timer = threading.Timer(SECONDS, release)
    timer.start()
    try:
        return run_cli(arguments)
    finally:
        timer.cancel()
        assert not hung.is_set(), f"waits for {pipes}"


IN_DATA = {
    "image": "images/train/00.png",
    "mask": "masks/train/00.png",
    "description": "dataset.toml",
    "list": "train.txt",
}


@pytest.mark.parametrize("name", IN_DATA)
def test_a_pipe_in_the_data_ends_the_check(name: str, run_cli: Callable, tiny_data: Path, tmp_path: Path):
    root = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    path = pipe(root / IN_DATA[name])
    code, stdout, stderr = ends(run_cli, [path], ["check", root])
    assert code == 3, stderr
    assert "pipe" in stdout + stderr or "D2" in stdout + stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("dataset", "pattern"),
    [("labelme", "*/*.json"), ("coco", "*/*.coco.json"), ("yolo", "labels/*/*.txt"), ("yolo", "data.yaml"),
     ("cvat", "*.xml"), ("label-studio", "*.json"), ("voc-aug", "**/ImageSets/*/*.txt")],
)  # fmt: skip
def test_a_pipe_among_annotations_ends_the_check(dataset: str, pattern: str, run_cli: Callable, tmp_path: Path):
    root = write_miniature(dataset, tmp_path / "data", (2, 1))
    path = pipe(sorted(root.glob(pattern))[0])
    code, stdout, stderr = ends(run_cli, [path], ["check", root, f"data.dataset={dataset}"])
    assert "Traceback" not in stderr
    assert code in (0, 2, 3)
    if code == 0:
        assert path.name in stdout + stderr


@pytest.mark.parametrize("arguments", [["train", "{}"], ["check", "{data}", "--recipe", "{}"], ["show", "{}"]])
def test_a_pipe_as_a_recipe_is_refused(arguments: list[str], run_cli: Callable, tiny_data: Path, tmp_path: Path):
    path = pipe(tmp_path / "mine.toml")
    code, _, stderr = ends(run_cli, [path], [word.format(path, data=tiny_data) for word in arguments])
    assert code in (2, 3)
    assert "mine.toml" in stderr
    assert "Traceback" not in stderr


FILES_OF_A_RUN = (
    "recipe.toml", "environment.json", "data.json", "log.jsonl", "problems.jsonl",
    "checkpoints/*/manifest.json", "checkpoints/*/state.json", "checkpoints/*/model.safetensors",
    "evaluations/*/result.json", "evaluations/*/per_class.csv", "evaluations/*/per_image.csv",
)  # fmt: skip
VERBS = {
    "resume": ["resume", "{run}", "schedule.epochs=5"],
    "evaluate": ["evaluate", "{run}"],
    "report": ["report", "{run}"],
    "predict": ["predict", "{run}", "{photo}", "--output", "{out}"],
}


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=[pytest.mark.heavy] if verb in ("resume", "evaluate") else []) for verb in VERBS]
)
@pytest.mark.parametrize("pattern", FILES_OF_A_RUN)
def test_a_pipe_in_a_run_ends_every_verb(
    verb: str, pattern: str, run_cli: Callable, tiny_run: Path, tiny_data: Path, tmp_path: Path
):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    paths = [pipe(path) for path in sorted(run.glob(pattern))] or [pipe(run / pattern.replace("*", "x"))]
    photo = sorted((tiny_data / "images" / "test").iterdir())[0]
    places = {"run": run, "photo": photo, "out": tmp_path / "out"}
    _, _, stderr = ends(run_cli, paths, [word.format(**places) for word in VERBS[verb]])
    assert "Traceback" not in stderr


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.png", "a.jpg", "a.mp4"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_pipe_as_a_photo_is_a_problem(name: str, folder: bool, run_cli: Callable, tiny_run: Path, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    path = pipe(photos / name)
    code, _, stderr = ends(
        run_cli, [path], ["predict", tiny_run, photos if folder else path, "--output", tmp_path / "out"]
    )
    assert code == 3
    assert "Traceback" not in stderr


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_pipe_as_weights_is_refused(name: str, run_cli: Callable, tmp_path: Path):
    path = pipe(tmp_path / name)
    arguments = ["import-weights", path, "--recipe", "enet-camvid", "--source", "pytorch-enet"]
    code, _, stderr = ends(run_cli, [path], [*arguments, "--output", tmp_path / "out"])
    assert code in (2, 4)
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def artefact(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("artefacts") / "torch"
    export(tiny_run, output, target="torch-export")
    return output


@pytest.mark.heavy
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize("pattern", ["model.toml", "model.pt2"])
def test_a_pipe_in_an_artefact_is_refused(
    verb: str, pattern: str, run_cli: Callable, artefact: Path, tiny_data: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(artefact, tmp_path / "artefact"))
    path = pipe(folder / pattern)
    words = {"run": folder, "photo": tiny_data, "out": tmp_path / "out"}
    code, _, stderr = ends(run_cli, [path], [word.format(**words) for word in VERBS[verb]])
    assert code in (2, 4)
    assert "Traceback" not in stderr


STALLED = """
import builtins, io, os, pathlib, signal, sys, time
from pixelwise.machine import stalls
# A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
stalls.PATIENCE = 0.5
stalled, way = sys.argv[1], sys.argv[2]
def wait(path):
    if os.fspath(path).endswith(stalled):
        print("stalled", flush=True)
        time.sleep(1000) if way == "sleep" else os.read(os.pipe()[0], 1)
originals = builtins.open, os.stat
def opens(path, *rest, **options):
    if not isinstance(path, int):
        wait(path)
    return originals[0](path, *rest, **options)
builtins.open = io.open = opens
from pixelwise.cli import entry
sys.argv = ["pixelwise", *sys.argv[3:]]
entry()
"""


def stalled(arguments: list, name: str, way: str, *, interrupts: int = 1) -> tuple[int, str]:
    """Exit status and output of a command that is interrupted once a file does not answer and that has been said."""
    process = subprocess.Popen(
        [sys.executable, "-c", STALLED, name, way, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdout is not None
    said = ""
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            said += line
            if "W606" in line:
                break
        for _ in range(interrupts):
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        said += process.stdout.read()
        return process.wait(), said
    finally:
        timer.cancel()
        process.kill()


@pytest.mark.heavy
@pytest.mark.parametrize("way", ["sleep", pytest.param("pipe", marks=pytest.mark.heavy)])
def test_a_stalled_read_in_a_thread_is_mentioned_and_ctrl_c_ends_it(way: str, tiny_data: Path, tmp_path: Path):
    root = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    status, said = stalled(["check", root], "train/00.png", way)
    assert "warning[W606]" in said, said
    assert "train/00.png: still being read" in said
    assert status == 130, said


@pytest.mark.heavy
def test_a_stalled_read_in_the_main_thread_is_mentioned_and_ctrl_c_ends_it(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("")
    status, said = stalled(["show", tmp_path / "mine.toml"], "mine.toml", "pipe")
    assert "mine.toml: still being read" in said, said
    assert status == 130, said


@pytest.mark.heavy
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stalled_read_of_a_training_is_mentioned_and_ctrl_c_ends_it(
    workers: int, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    root = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    command = ["train", tiny_recipe, "--data", root, "--output", tmp_path / "run", f"data.workers={workers}"]
    status, said = stalled(command, "train/00.png", "sleep", interrupts=2)
    assert "still being read" in said, said
    assert status in (75, 130), said
