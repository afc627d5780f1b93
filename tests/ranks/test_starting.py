"""Processes that PyTorch's launcher starts, and what becomes of them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.ranks.launcher import Death
from pixelwise.ranks.options import LaunchOptions
from pixelwise.ranks.starting import Launch, _address_words, refuse_unfit

MODULE = """
import json, os, signal, sys
from pathlib import Path

names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS", "TORCHELASTIC_RESTART_COUNT", "NAMED_HERE")
folder = Path(sys.argv[1])
rank, again = os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]
(folder / f"{rank}-{again}.json").write_text(json.dumps({name: os.environ.get(name) for name in names}))
if rank == "1" and again == "0" and sys.argv[2] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that only this process can import; the others learn from it where it is."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "spoken_to_a_file.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    return "spoken_to_a_file"


def said(folder: Path) -> dict[str, dict[str, str]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


@pytest.mark.heavy
def test_processes_know_their_number_and_end(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    ends, dies, again = (folder(tmp_path, name) for name in ("ends", "dies", "again"))
    two = LaunchOptions(devices=2)
    launches = [
        Launch([module, str(ends), "ends"], two, {"NAMED_HERE": "yes"}),
        Launch([module, str(dies), "dies"], two),
        Launch([module, str(again), "dies"], LaunchOptions(devices=2, restarts=1)),
    ]
    calls: list[int] = []
    assert [launch.wait(lambda: calls.append(1)) for launch in launches] == [0, 1, 0]
    assert calls
    assert [launch.death for launch in launches] == [None, Death("process 1 ended with SIGKILL"), None]
    expected = {"WORLD_SIZE": "2", "OMP_NUM_THREADS": "3", "TORCHELASTIC_RESTART_COUNT": "0", "NAMED_HERE": "yes"}
    assert said(ends) == {f"{n}-0": {"RANK": n, "LOCAL_RANK": n, **expected} for n in ("0", "1")}
    assert {"1-0", "0-1", "1-1"} <= set(said(again))


@pytest.mark.heavy
def test_processes_divide_the_cores(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("pixelwise.ranks.starting.default_threads", lambda: 6)
    assert Launch([module, str(tmp_path), "ends"], LaunchOptions(devices=2)).wait(lambda: None) == 0
    assert {one["OMP_NUM_THREADS"] for one in said(tmp_path).values()} == {"3"}


def test_a_launcher_that_is_killed_is_the_reason(module: str, tmp_path: Path):
    launch = Launch([module, str(tmp_path), "ends"], LaunchOptions(devices=2))
    os.kill(launch._process.pid, signal.SIGKILL)
    assert launch.wait(lambda: None) == -signal.SIGKILL
    assert launch.death == Death("the one that starts them ended with SIGKILL")


def test_whoever_watches_may_fail_without_leaving_processes(module: str, tmp_path: Path):
    def fail() -> None:
        raise ValueError("somebody's display")

    launch = Launch([module, str(tmp_path), "ends"], LaunchOptions(devices=2))
    with pytest.raises(ValueError, match="somebody's display"):
        launch.wait(fail)
    assert launch._process.poll() is not None


@pytest.mark.parametrize(
    ("options", "device", "gpus", "message", "help"),
    [
        (LaunchOptions(nodes="2"), "cpu", 0, "`nodes` is 2, but `devices` is not given", "give `devices`"),
        (LaunchOptions(restarts=1), "cpu", 0, "`restarts` is 1, but `devices` is not given", "give `devices`"),
        (
            LaunchOptions(rendezvous="a:1"),
            "cpu",
            0,
            "`rendezvous` is a:1, but `devices` is not given",
            "give `devices`",
        ),
        (LaunchOptions(devices=2, nodes="2"), "cpu", 0, "do not know where to meet", "`rendezvous`"),
        (
            LaunchOptions(devices=2, nodes="2", rendezvous="a"),
            "cpu",
            0,
            "`rendezvous` is 'a'; expected HOST:PORT",
            "node1",
        ),
        (LaunchOptions(devices=2, nodes="x", rendezvous="a:1"), "cpu", 0, "`nodes` is 'x'", "1:4"),
        (LaunchOptions(devices=2, nodes="3:2", rendezvous="a:1"), "cpu", 0, "`nodes` is '3:2'", "1:4"),
        (LaunchOptions(devices=2, nodes="0", rendezvous="a:1"), "cpu", 0, "`nodes` is '0'", "1:4"),
        (LaunchOptions(devices=2), "cuda:1", 4, "one GPU, for 2 processes", "set `device` to cuda"),
        (LaunchOptions(devices=3), "auto", 2, "`devices` is 3, but this host has 2 GPUs", "at most 2"),
        (LaunchOptions(devices=2), "cuda", 1, "this host has 1 GPU", "at most 1"),
        (LaunchOptions(devices=2), "cuda", 0, "this host has 0 GPUs", "set `device` to cpu"),
    ],
)
def test_what_cannot_be_started_is_refused(
    options: LaunchOptions, device: str, gpus: int, message: str, help: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(RecipeError) as caught:
        refuse_unfit(options, device)
    assert caught.value.code == "R238"
    assert message in caught.value.message
    assert help in caught.value.help


@pytest.mark.parametrize(
    ("options", "device", "gpus"),
    [
        (LaunchOptions(), "auto", 0),
        (LaunchOptions(devices=64), "cpu", 2),
        (LaunchOptions(devices=2), "auto", 0),
        (LaunchOptions(devices=2), "auto", 2),
        (LaunchOptions(devices=1), "cuda:1", 2),
        (LaunchOptions(devices=2, nodes="1:4", rendezvous="a:1"), "cuda", 8),
    ],
)
def test_what_can_be_started(options: LaunchOptions, device: str, gpus: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    refuse_unfit(options, device)


def test_other_hosts_learn_the_address_from_which_this_one_reaches_them(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def own(towards: str) -> str | None:
        asked.append(towards)
        return "10.77.0.2" if towards == "node1" else None

    monkeypatch.setattr("pixelwise.ranks.starting.own_address", own)
    monkeypatch.setattr("pixelwise.ranks.starting.is_nameless_here", lambda host: host == "10.77.0.1")
    assert _address_words("node1:29400") == ["--local-addr", "10.77.0.2"]
    # Hosts that are all this one need no address.
    assert _address_words("localhost:29400") == []
    assert _address_words("10.77.0.1:29400") == ["--rdzv-conf", "is_host=1"]
    assert asked == ["node1", "localhost", "10.77.0.1"]
