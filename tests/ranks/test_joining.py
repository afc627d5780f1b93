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
from pixelwise.cli import _foreign, _show
from pixelwise.errors import PixelwiseError, RecipeError, ResourceError
from pixelwise.ranks import ALONE, joining
from pixelwise.ranks.joining import _refuse_mixed_versions, has_lost_others, joined
from pixelwise.records.exits import Exit, read_exit
from pixelwise.records.log import ResumeRecord, StepRecord, read_log

SMALL = [
    "dataset=town", "town_images=[12,4,2]", "town_size=[32,48]", "crop=[32,48]", "selection.every_epochs=2",
    "model.encoder=mobilenetv3_small_050", "sampling.batch_size=4", "precision.dtype=float32",
]  # fmt: skip
OF_TWO = {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}


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
    ("hosts", "given", "address", "expected"),
    [
        ("2", None, "10.77.0.2", "eth7"),
        ("2", "ib0", "10.77.0.2", "ib0"),
        ("2", None, None, None),
        ("2", None, "10.77.0.9", None),
        ("1", None, "10.77.0.2", None),
    ],
)
def test_the_network_between_hosts(
    hosts: str, given: str | None, address: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MASTER_ADDR", "10.77.0.1")
    monkeypatch.setenv("GROUP_WORLD_SIZE", hosts)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", given or "")
    if given is None:
        monkeypatch.delenv("GLOO_SOCKET_IFNAME")
    monkeypatch.setattr(joining, "own_address", {"10.77.0.1": address}.get)
    monkeypatch.setattr(joining, "interface_of", {"10.77.0.2": "eth7"}.get)
    joining._choose_interface()
    assert os.environ.get("GLOO_SOCKET_IFNAME") == expected
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "")  # so that what was set here is removed afterwards


def test_hosts_with_other_versions_are_refused():
    same = {"python": "3.12.1", "torch": "2.14.1", "timm": "1.0.31"}
    _refuse_mixed_versions([same, dict(same), dict(same)])
    with pytest.raises(RecipeError, match=r"torch is 2\.14\.1 in process 0, but 2\.13\.0 in process 2") as caught:
        _refuse_mixed_versions([same, same, {**same, "torch": "2.13.0"}])
    assert caught.value.code == "R238"
    with pytest.raises(RecipeError, match=r"timm is 1\.0\.31 in process 0, but unknown in process 1"):
        _refuse_mixed_versions([same, {"python": "3.12.1", "torch": "2.14.1"}])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[/src/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer"), True),
        (torch.distributed.DistNetworkError("the server is gone"), True),
        (torch.distributed.DistBackendError("NCCL error: remote process exited"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("gloo/transport"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_an_error_that_only_means_that_another_process_is_gone(error: BaseException, expected: bool):
    assert has_lost_others(error) is expected


def test_a_process_whose_partner_is_gone_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    lost = RuntimeError("[/src/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    assert _foreign(lost).code == "R280"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _foreign(lost).code == "S610"
    assert _foreign(RuntimeError("a shape")).code == "R280"


def test_one_process_of_every_host_says_that_others_are_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    lost = ResourceError("S610", "another process is gone", "see there")

    def said(error: PixelwiseError, **changes: str) -> str:
        for name, value in {**OF_TWO, **changes}.items():
            monkeypatch.setenv(name, value)
        assert _show(error) == error.exit_code
        return capsys.readouterr().err

    assert said(lost).startswith("error[S610]: another process is gone")
    assert said(lost, RANK="3", LOCAL_RANK="1") == ""
    # What all processes have is said by the first one.
    assert said(RecipeError("R229", "too many", "fewer")) == ""


def started(*words: str, restarts: int = 0) -> subprocess.Popen[bytes]:
    """`torchrun` with two processes. CUDA_VISIBLE_DEVICES is empty in tests."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--max-restarts", str(restarts), "-m", "pixelwise"]
    return subprocess.Popen([*launcher, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(run: Path, step: int, seconds: float = 400) -> None:
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


LONG = pytest.mark.timeout(900)
"""Several starts of several processes, on a machine that others use as well."""
OFTEN = ["train", "unet-resnet18", *SMALL, "epochs=8", "every_steps=2", "--no-evaluate"]
"""A training of 24 steps that saves after every second one, and evaluates after every sixth."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a run that nothing happened to."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert started(*OFTEN, "-o", str(run)).wait(600) == 0
    return weights(run)


@LONG
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.parametrize(
    ("step", "rank", "wait"),
    [
        pytest.param(9, 1, 0.0, marks=pytest.mark.fuzz),
        pytest.param(5, 0, 0.15, marks=pytest.mark.heavy),
        pytest.param(12, 1, 0.3, marks=pytest.mark.fuzz),
    ],
)
def test_a_killed_process_costs_no_more_than_the_steps_since_the_last_checkpoint(
    undisturbed: dict[str, torch.Tensor], tmp_path: Path, step: int, rank: int, wait: float
):
    run = tmp_path / "killed"
    killed = started(*OFTEN, "-o", str(run), restarts=2)
    wait_for(run, step)
    time.sleep(wait)  # in a step, while saving, or while evaluating
    os.kill(workers_of(run)[rank], signal.SIGKILL)
    assert killed.wait(600) == 0
    assert len(read_log(run).of(ResumeRecord)) == 1
    assert [one.step for one in read_log(run).of(StepRecord)] == list(range(1, 25))
    found = weights(run)
    assert all(torch.equal(value, found[name]) for name, value in undisturbed.items())


@LONG
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.parametrize(
    "receiver",
    # A launcher passes a signal on to its processes, as tests/api/test_together.py sees with Ctrl-C.
    [
        pytest.param("the launcher", marks=pytest.mark.fuzz),
        pytest.param("one process", marks=pytest.mark.heavy),
    ],
)
def test_a_signal_stops_all_processes_and_the_run_goes_on(tmp_path: Path, receiver: str):
    run = tmp_path / "run"
    words = ["train", "unet-resnet18", *SMALL, "epochs=400", "-o", str(run), "--no-evaluate"]
    stopped = started(*words)
    wait_for(run, 4)
    os.kill(stopped.pid if receiver == "the launcher" else workers_of(run)[-1], signal.SIGTERM)
    stopped.wait(300)
    found = read_exit(run)
    assert found is not None
    assert (found.exit_code, found.code) == (75, "I075")
    assert json.loads((run / "status.json").read_text())["state"] == "over"
    done = len(read_log(run).of(StepRecord))
    assert f"after step {done}, saved" in found.message
    goes_on = started("resume", str(run), f"schedule.iterations={done + 3}", "--no-evaluate")
    assert goes_on.wait(300) == 0
    assert [one.step for one in read_log(run).of(StepRecord)] == list(range(1, done + 4))
    assert read_exit(run) == Exit()


@pytest.mark.heavy
def test_an_error_is_said_once(tmp_path: Path):
    failed = started("train", "unet-resnet18", str(tmp_path), "-o", str(tmp_path / "run"))
    _, said = failed.communicate(timeout=300)
    assert failed.returncode == 1
    assert said.count(b"error[D") == 1
