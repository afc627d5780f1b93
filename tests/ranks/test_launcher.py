"""The launcher ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pixelwise.ranks.launcher import LOST_OTHERS, Death, _first_death

WAITS = """
import os, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: ((folder / f"asked-{os.environ['RANK']}").touch(), sys.exit(0)))
(folder / f"ready-{os.environ['RANK']}").touch()
time.sleep(120)
"""
STARTS = """
import sys, time
from pixelwise.ranks.options import LaunchOptions
from pixelwise.ranks.starting import Launch

sys.path.insert(0, sys.argv[1])
Launch(["waits_to_be_asked", sys.argv[1]], LaunchOptions(devices=2))
time.sleep(120)
"""


def wait_for(*paths: Path) -> None:
    end = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end, f"{paths} did not appear"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({0: 1, 1: -9}, "process 1 ended with SIGKILL"),
        ({0: -15, 1: -15, 2: 1, 3: 1}, "process 2 ended with exit status 1"),
        ({0: -15, 1: -11}, "process 1 ended with SIGSEGV"),
        ({3: -15}, "process 3 ended with SIGTERM"),
        ({1: 6, 2: 1}, "process 1 ended with exit status 6"),
        ({0: LOST_OTHERS, 1: 1}, "process 1 ended with exit status 1"),
        ({4: -15, 5: LOST_OTHERS}, "process 5 waited in vain for another one"),
    ],
)
def test_the_death_that_caused_the_others(codes: dict[int, int], expected: str):
    assert _first_death(codes) == Death(expected)


@pytest.mark.heavy
@pytest.mark.skipif(os.name == "nt", reason="a process there does not learn that its parent is gone")
def test_processes_are_asked_to_stop_once_nobody_waits_for_them(tmp_path: Path):
    (tmp_path / "waits_to_be_asked.py").write_text(WAITS)
    path = os.pathsep.join(one for one in sys.path if one)
    starter = subprocess.Popen([sys.executable, "-c", STARTS, str(tmp_path)], env={**os.environ, "PYTHONPATH": path})
    wait_for(tmp_path / "ready-0", tmp_path / "ready-1")
    starter.kill()
    starter.wait()
    wait_for(tmp_path / "asked-0", tmp_path / "asked-1")


@pytest.mark.heavy
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signal")
def test_the_signal_of_schedulers_is_left_to_others(tmp_path: Path):
    (tmp_path / "waits_to_be_asked.py").write_text(WAITS)
    path = os.pathsep.join([str(tmp_path), *(one for one in sys.path if one)])
    words = [str(tmp_path / "death.json"), "--standalone", "-m", "waits_to_be_asked", str(tmp_path)]
    launcher = subprocess.Popen(
        [sys.executable, "-m", "pixelwise.ranks.launcher", *words], env={**os.environ, "PYTHONPATH": path}
    )
    wait_for(tmp_path / "ready-0")
    launcher.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    assert launcher.poll() is None
    assert not (tmp_path / "asked-0").exists()
    launcher.terminate()
    assert launcher.wait(60) == 128 + signal.SIGTERM
    assert (tmp_path / "asked-0").exists()
