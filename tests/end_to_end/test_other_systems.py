"""Pixelwise on simulated Windows and macOS, where modules and functions of Linux are missing.

`other_systems/sitecustomize.py` explains what the simulation removes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pixelwise.checkpoints.checkpoint import newest_checkpoint

HERE = Path(__file__).parent / "other_systems"
SOURCES = Path(__file__).parents[2] / "src"
Elsewhere = Callable[..., "subprocess.CompletedProcess[str]"]

PROBE = """
import os, sys
from pathlib import Path

def refused(name, source):
    namespace = {"__name__": name, "here": Path(sys.argv[1])}
    try:
        exec(compile(source, f"/somewhere/{name.replace('.', '/')}.py", "exec"), namespace)
    except Exception as error:
        return type(error).__name__
    return ""

for name in ("pixelwise.probe", "another.probe"):
    for source in sys.argv[2:]:
        print(name.partition(".")[0], source, refused(name, source), sep="|")
"""
OURS_AND_OTHERS = {
    "import fcntl": ("ModuleNotFoundError", "ModuleNotFoundError"),
    "import resource": ("ModuleNotFoundError", "ModuleNotFoundError"),
    "import msvcrt": ("", "ModuleNotFoundError"),
    "import os; os.fork": ("AttributeError", "AttributeError"),
    "import os; os.sched_getaffinity": ("AttributeError", "AttributeError"),
    "import os; os.sysconf": ("AttributeError", ""),
    "from os import statvfs": ("ImportError", ""),
    "import os; os.open(here, os.O_RDONLY)": ("PermissionError", ""),
    "import signal; signal.SIGHUP": ("AttributeError", ""),
    "import signal; signal.SIGINT": ("", ""),
    "open('/proc/cpuinfo')": ("FileNotFoundError", ""),
    "from pathlib import Path; Path('/proc/self/status').read_bytes()": ("FileNotFoundError", ""),
    "import os; os.listdir('/sys')": ("FileNotFoundError", ""),
    "import os; os.stat('/proc/meminfo')": ("FileNotFoundError", ""),
    "import multiprocessing; multiprocessing.get_context('fork')": ("ValueError", "ValueError"),
    "file = open(here / 'a', 'w'); (here / 'a').rename(here / 'b')": ("PermissionError", "PermissionError"),
    "(here / 'c').mkdir(); file = open(here / 'c' / 'd', 'w'); (here / 'c').rename(here / 'e')": (
        "PermissionError", "FileExistsError",
    ),
    "(here / 'f').write_text('f'); (here / 'f').replace(here / 'g'); (here / 'g').unlink()": ("", ""),
}  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    """Run Python as on another system: `elsewhere(system, *arguments)`."""

    def run(system: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        variables = {
            "PIXELWISE_SYSTEM": system,
            "PIXELWISE_SYSTEM_LOG": str(tmp_path / "blocked"),
            "PIXELWISE_SYSTEM_ROOT": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(SOURCES)]),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        # A session of its own tells which processes are whose.
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=os.environ | variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
            start_new_session=True,
            cwd=tmp_path,
        )

    return run


def test_what_is_blocked_is_blocked(elsewhere: Elsewhere, tmp_path: Path):
    (tmp_path / "probe").mkdir()
    done = elsewhere("win32", "-c", PROBE, tmp_path / "probe", *OURS_AND_OTHERS)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = {"pixelwise": {}, "another": {}}
    for line in done.stdout.splitlines():
        who, source, error = line.split("|")
        found[who][source] = error
    expected = {source: (found["pixelwise"][source], found["another"][source]) for source in OURS_AND_OTHERS}
    assert expected == OURS_AND_OTHERS


PREDICTING = """
import sys, pixelwise
run, data = sys.argv[1:]
prediction = pixelwise.load(run).predict(f"{data}/images/test/00.png")
print(prediction.labels.shape, pixelwise.evaluate(run, split="test").miou)
"""


@pytest.mark.heavy
def test_a_run_predicts_and_is_scored_on_windows(elsewhere: Elsewhere, tmp_path: Path, tiny_run: Path, tiny_data: Path):
    import pixelwise

    done = elsewhere("win32", "-c", PREDICTING, tiny_run, tiny_data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["(48,", "64)", str(pixelwise.evaluate(tiny_run, split="test").miou)]


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.heavy
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_every_verb_works_and_the_weights_are_those_of_linux(
    system: str, elsewhere: Elsewhere, tmp_path: Path, tiny_recipe: Path
):
    from pixelwise.cli import main
    from pixelwise.training.runs import train

    done = elsewhere(system, HERE / "pipeline.py", tmp_path / "there", tiny_recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    # Two loader processes before the stop, one after it, the process itself.
    assert len(set((tmp_path / "blocked").read_text("utf-8").split())) >= 4

    here, there = tmp_path / "here", tmp_path / "there"
    train(str(tiny_recipe), data=there / "town", output=here / "run", threads=1)
    images = str(there / "town" / "images" / "test")
    assert main(["predict", str(here / "run"), images, "--output", str(here / "predicted")]) == 0
    newest = [newest_checkpoint(folder / "run" / "checkpoints") for folder in (here, there)]
    weights = [
        {name: file.sha256 for name, file in found.manifest.files.items() if name.endswith(".safetensors")}
        for found in newest
        if found is not None
    ]
    assert len(weights) == 2
    assert weights[0] == weights[1]
    assert files_below(here / "predicted" / "masks") == files_below(there / "predicted" / "masks")
