"""Processes that a launcher starts: what they are told, and drills with real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.cli.line import together
from pixelwise.cli.line.together import Together, run_together
from pixelwise.errors import RecipeError
from pixelwise.machine.launched import is_first, local_rank, local_world, restarts, world_size
from pixelwise.machine.threads import default_threads, own_cores, usable_cores
from pixelwise.ranks import ALONE
from pixelwise.ranks.joining import joined
from pixelwise.records.exits import Exit, read_exit
from pixelwise.records.log import ResumeRecord, StepRecord, read_log

SMALL = [
    "dataset=town", "town_images=[12,4,2]", "town_size=[32,48]", "crop=[32,48]", "selection.every_epochs=2",
    "model.encoder=mobilenetv3_small_050", "sampling.batch_size=4", "precision.dtype=float32",
]  # fmt: skip
OF_TWO = {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}


def test_a_process_that_was_started_alone():
    assert (world_size({}), local_world({}), local_rank({}), restarts({}), is_first({})) == (1, 1, 0, 0, True)
    # A variable that a scheduler left behind means nothing without the others.
    assert (local_world({"LOCAL_WORLD_SIZE": "8"}), local_rank({"LOCAL_RANK": "3"}), is_first({"RANK": "3"})) == (
        1, 0, True,
    )  # fmt: skip


def test_a_process_of_several():
    assert (world_size(OF_TWO), local_world(OF_TWO), local_rank(OF_TWO), is_first(OF_TWO)) == (4, 2, 0, False)
    assert is_first(OF_TWO | {"RANK": "0"})


def test_processes_of_a_host_divide_its_cores():
    assert own_cores(OF_TWO) == max(1, usable_cores() // 2)
    assert default_threads(OF_TWO) == own_cores(OF_TWO)
    assert default_threads(OF_TWO | {"OMP_NUM_THREADS": "3"}) == 3
    # torchrun sets it to 1 where nobody has set it.
    assert default_threads(OF_TWO | {"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "x"}) == own_cores(OF_TWO)
    assert default_threads({"OMP_NUM_THREADS": "1"}) == 1


def test_nobody_to_join():
    with joined(torch.device("cpu")) as ranks:
        assert ranks is ALONE


def test_a_launcher_that_forgets_a_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(RecipeError, match="MASTER_ADDR and MASTER_PORT are not set") as caught,
        joined(torch.device("cpu")),
    ):
        pass
    assert caught.value.code == "R238"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("train photos --devices 4 -o run", "train photos -o run"),
        ("train photos --devices=4 --nodes 2 --rendezvous a:1 --restarts=3 lr=0.1", "train photos lr=0.1"),
        ("resume run --restarts 3", "resume run"),
        ("train photos --epochs 3", "train photos --epochs 3"),
    ],
)
def test_the_processes_get_the_command_without_what_started_them(typed: str, kept: str):
    assert together._passed_on(typed.split()) == kept.split()


def test_hosts_need_a_place_to_meet(tmp_path: Path):
    with pytest.raises(RecipeError, match="do not know where to meet"):
        run_together(Together(devices=2, nodes="2"), tmp_path)


def started(*words: str) -> subprocess.Popen[bytes]:
    # CUDA_VISIBLE_DEVICES is empty in tests. Ctrl-C is for the tests, and not for these processes.
    return subprocess.Popen(
        [sys.executable, "-m", "pixelwise", *words], env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(run: Path, step: int, seconds: float = 240) -> None:
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if run.is_dir() and any(one.step >= step for one in read_log(run).of(StepRecord)):
            return
        time.sleep(0.2)
    raise AssertionError(f"no step {step}")


def workers_of(run: Path) -> list[int]:
    """Processes that train in a folder, without the launcher and the command that started it."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            status = (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(run).encode() in words and b"LOCAL_RANK=" in status:
            found.append(int(folder.name))
    return sorted(found)


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    return safetensors.torch.load_file(newest.path / "model.safetensors")


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_a_killed_process_costs_no_more_than_the_steps_since_the_last_checkpoint(tmp_path: Path):
    words = ["train", "unet-resnet18", *SMALL, "epochs=8", "every_steps=2", "--devices", "2", "--no-evaluate"]
    undisturbed = started(*words, "-o", str(tmp_path / "whole"))
    assert undisturbed.wait(300) == 0
    run = tmp_path / "killed"
    killed = started(*words, "-o", str(run), "--restarts", "2")
    wait_for(run, 9)
    os.kill(workers_of(run)[-1], signal.SIGKILL)
    assert killed.wait(400) == 0
    assert len(read_log(run).of(ResumeRecord)) == 1
    assert [one.step for one in read_log(run).of(StepRecord)] == list(range(1, 25))
    expected, found = weights(tmp_path / "whole"), weights(run)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.parametrize("receiver", ["the command", "one process"])
def test_a_signal_stops_all_processes_and_the_run_goes_on(tmp_path: Path, receiver: str):
    run = tmp_path / "run"
    words = ["train", "unet-resnet18", *SMALL, "epochs=400", "-o", str(run), "--devices", "2", "--no-evaluate"]
    stopped = started(*words)
    wait_for(run, 4)
    os.kill(stopped.pid if receiver == "the command" else workers_of(run)[-1], signal.SIGTERM)
    assert stopped.wait(300) == 75
    found = read_exit(run)
    assert found is not None
    assert (found.exit_code, found.code) == (75, "I075")
    assert json.loads((run / "status.json").read_text())["state"] == "over"
    done = len(read_log(run).of(StepRecord))
    assert f"after step {done}, saved" in found.message
    goes_on = started("resume", str(run), f"schedule.iterations={done + 3}", "--devices", "2", "--no-evaluate")
    assert goes_on.wait(300) == 0
    assert [one.step for one in read_log(run).of(StepRecord)] == list(range(1, done + 4))
    assert read_exit(run) == Exit()


@pytest.mark.heavy
def test_an_error_has_its_exit_status_and_is_said_once(tmp_path: Path):
    failed = started("train", "unet-resnet18", str(tmp_path), "-o", str(tmp_path / "run"), "--devices", "2")
    _, said = failed.communicate(timeout=300)
    assert failed.returncode == 3
    assert said.count(b"error[") == 1
    assert b"Traceback" not in said
