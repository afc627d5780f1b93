"""Hosts that train together and are lost: each has a network, processes and a name for itself, all on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import safetensors.torch
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.records.exits import Exit, read_exit
from pixelwise.records.log import ProcessesRecord, ResumeRecord, StepRecord, read_log

pytestmark = pytest.mark.timeout(900)
SMALL = [
    "dataset=town", "town_images=[12,4,2]", "town_size=[32,48]", "crop=[32,48]", "selection.every_epochs=0",
    "selection.weights=last", "model.encoder=mobilenetv3_small_050", "sampling.batch_size=2", "sampling.accumulate=2",
    "precision.dtype=float32", "every_steps=2",
]  # fmt: skip
STEPS_PER_EPOCH = 3
EPOCHS = 12
"""So that a host is lost at a fifth of a training."""
PORT = 29400
PATIENCE = "20"
"""Seconds after which a process gives up waiting for another."""


class Host(NamedTuple):
    """A network namespace.

    Attributes:
        name: Its name.
        address: Its address in the network of the hosts.
    """

    name: str
    address: str

    def ip(self, *words: str) -> None:
        """Change its network."""
        _ip("-n", self.name, *words)

    def start(self, output: Path, *words: str) -> subprocess.Popen[bytes]:
        """Start Pixelwise there."""
        path = os.pathsep.join(one for one in sys.path if one)
        variables = {**os.environ, "PYTHONPATH": path, "PIXELWISE_RANKS_TIMEOUT": PATIENCE}
        with output.open("ab") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, "-m", "pixelwise", *words],
                env=variables,
                stdout=file,
                stderr=file,
            )

    def processes(self) -> list[int]:
        """Everything that runs there."""
        return [int(one) for one in _ip("netns", "pids", self.name).split()]

    def workers(self) -> list[int]:
        """The processes that train there."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if b"LOCAL_RANK=" in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
        return found

    def lose(self) -> None:
        """Cut the host off and kill everything on it, so that nobody is told."""
        self.ip("link", "set", "eth0", "down")
        self.kill()

    def kill(self) -> None:
        """Kill everything that runs there."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts at the ends of a cable."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` here, which makes networks")
    if os.geteuid():
        pytest.skip("only root may make networks")
    pair = tuple(Host(f"pixelwise-{os.getpid()}-{number}", f"10.77.0.{number}") for number in (1, 2))
    try:
        try:
            for host in pair:
                _ip("netns", "add", host.name)
            one, other = pair
            _ip("link", "add", "eth0", "netns", one.name, "type", "veth", "peer", "name", "eth0", "netns", other.name)
            for host in pair:
                host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
                host.ip("link", "set", "lo", "up")
                host.ip("link", "set", "eth0", "up")
        except OSError as error:
            pytest.skip(f"this system does not let root make networks: {error}")
        yield one, other
    finally:
        for host in pair:
            with contextlib.suppress(OSError):
                host.kill()
            with contextlib.suppress(OSError):
                _ip("netns", "delete", host.name)


def words(run: Path, epochs: int) -> list[str]:
    return ["train", "unet-resnet18", *SMALL, f"epochs={epochs}", "-o", str(run), "--no-evaluate"]


def together(nodes: str, meeting: Host, restarts: int = 3) -> list[str]:
    where = f"{meeting.address}:{PORT}"
    return ["--devices", "1", "--nodes", nodes, "--rendezvous", where, "--restarts", str(restarts)]


def wait_for(run: Path, step: int, *started: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 240
    while not (run.is_dir() and any(one.step >= step for one in read_log(run).of(StepRecord))):
        assert time.monotonic() < end, f"no step {step}"
        assert all(one.poll() is None for one in started), "a host has ended"
        time.sleep(0.1)


def steps(run: Path) -> list[int]:
    return [one.step for one in read_log(run).of(StepRecord)]


def worlds(run: Path) -> list[tuple[int, int]]:
    return [(one.world, one.hosts) for one in read_log(run).of(ProcessesRecord)]


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    return safetensors.torch.load_file(newest.path / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.heavy
def test_two_hosts_train_what_one_process_trains(hosts: tuple[Host, Host], tmp_path: Path):
    run, alone = tmp_path / "run", tmp_path / "alone"
    started = [
        host.start(tmp_path / host.address, *words(run, 4), *together("2", hosts[0], restarts=0)) for host in hosts
    ]
    assert [one.wait(240) for one in started] == [0, 0], said(tmp_path, hosts)
    assert steps(run) == list(range(1, 4 * STEPS_PER_EPOCH + 1))
    assert worlds(run) == [(2, 2)]
    assert read_exit(run) == Exit()
    assert hosts[0].start(tmp_path / "single", *words(alone, 4)).wait(240) == 0
    assert same(weights(run), weights(alone))


@pytest.mark.parametrize(
    "meeting",
    [
        pytest.param(0, id="the second process", marks=pytest.mark.heavy),
        pytest.param(1, id="the first process", marks=pytest.mark.fuzz),
    ],
)
def test_a_lost_host_costs_the_steps_since_the_last_checkpoint(hosts: tuple[Host, Host], meeting: int, tmp_path: Path):
    """The host at which all meet goes on alone; the first process is on the host with the smallest address."""
    run = tmp_path / "run"
    kept, lost = hosts[meeting], hosts[1 - meeting]
    going, _ = [
        host.start(tmp_path / host.address, *words(run, EPOCHS), *together("1:2", kept)) for host in (kept, lost)
    ]
    wait_for(run, 7, going)
    lost.lose()
    assert going.wait(400) == 0, said(tmp_path, hosts)
    assert steps(run) == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert worlds(run) == [(2, 2), (1, 1)]
    resumed = read_log(run).of(ResumeRecord)
    assert len(resumed) == 1
    assert resumed[0].step >= 6
    assert read_exit(run) in (None, Exit())


@pytest.mark.fuzz
@pytest.mark.parametrize("meeting", [0, 1], ids=["with the meeting", "without the meeting"])
def test_the_first_host_is_lost_before_it_has_said_what_to_do(hosts: tuple[Host, Host], meeting: int, tmp_path: Path):
    """Its process looks at the data, while the other one has nothing to do but wait for it."""
    run, (first, other) = tmp_path / "run", hosts
    asked = [*words(run, 4), "town_images=[600,4,2]", "iterations=6"]
    nodes = together("2", first, restarts=0) if meeting == 0 else together("1:2", other)
    _, waiting = [host.start(tmp_path / host.address, *asked, *nodes) for host in hosts]
    end = time.monotonic() + 240
    while not run.is_dir():
        assert time.monotonic() < end, "the first process does not begin"
        time.sleep(0.02)
    first.lose()
    assert not (run / "recipe.toml").exists()
    status = waiting.wait(400)
    text = (tmp_path / other.address).read_text()
    if meeting == 1:  # it goes on alone
        assert status == 0, text
        assert (steps(run), worlds(run)) == (list(range(1, 7)), [])
        return
    assert status == 6, text
    assert text.count("error[S610]") == 1
    assert "Traceback" not in text
    assert "a process of those that work together died: " in text


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(0, id="the first", marks=pytest.mark.heavy),
        pytest.param(1, id="the second", marks=pytest.mark.fuzz),
    ],
)
def test_a_killed_process_of_one_host_starts_those_of_both_again(hosts: tuple[Host, Host], number: int, tmp_path: Path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    started = [host.start(tmp_path / host.address, *words(run, EPOCHS), *together("2", hosts[0])) for host in hosts]
    wait_for(run, 7, *started)
    os.kill(hosts[number].workers()[0], signal.SIGKILL)
    assert [one.wait(300) for one in started] == [0, 0], said(tmp_path, hosts)
    assert steps(run) == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert worlds(run) == [(2, 2), (2, 2)]
    assert len(read_log(run).of(ResumeRecord)) == 1
    assert hosts[0].start(tmp_path / "single", *words(whole, EPOCHS)).wait(240) == 0
    assert same(weights(run), weights(whole))


@pytest.mark.heavy
def test_a_host_joins_a_run_that_has_begun(hosts: tuple[Host, Host], tmp_path: Path):
    run = tmp_path / "run"
    first = hosts[0].start(tmp_path / "first", *words(run, 60), *together("1:2", hosts[0]))
    wait_for(run, 7, first)
    second = hosts[1].start(tmp_path / "second", "resume", str(run), "--no-evaluate", *together("1:2", hosts[0]))
    assert [one.wait(400) for one in (first, second)] == [0, 0], said(tmp_path, hosts)
    assert steps(run) == list(range(1, 60 * STEPS_PER_EPOCH + 1))
    assert worlds(run) == [(2, 2)]


def said(folder: Path, hosts: tuple[Host, Host]) -> str:
    """What the hosts wrote, for the message of a failed test."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in files)
