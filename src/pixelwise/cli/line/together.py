"""`--devices`: the command in several processes, started by PyTorch's launcher `torchrun`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from pixelwise.errors import RecipeError, StoppedError
from pixelwise.machine.launched import world_size
from pixelwise.machine.threads import usable_cores
from pixelwise.records.exits import read_exit, remove_exit

SHUTDOWN_SECONDS = 120
"""Time that processes have to save after a signal, before they are killed."""
ONLY_HERE = ("--devices", "--nodes", "--rendezvous", "--restarts")
"""Options of the launcher, which the processes do not get."""

arguments: list[str] = []
"""Arguments of this command, as they were typed."""


class Together(NamedTuple):
    """How many processes to start, and where.

    Attributes:
        devices: Processes on this host, one per GPU; None to start none.
        nodes: Number of hosts, or the least and the most, as in `1:4`.
        rendezvous: HOST:PORT where the hosts meet; None for one host.
        restarts: How often to start all processes again after one of them died.
    """

    devices: int | None = None
    nodes: str = "1"
    rendezvous: str | None = None
    restarts: int = 0

    @property
    def wanted(self) -> bool:
        """Whether this process is to start others, instead of doing the work."""
        return self.devices is not None and world_size() == 1


DEVICES: Any = typer.Option(
    None,
    "--devices",
    metavar="N",
    min=1,
    help="Processes on this host that share every step, one per GPU; on a processor, they divide its cores. The same "
    "as `torchrun --nproc-per-node N -m pixelwise ...`. Left out, one process.",
)
NODES: Any = typer.Option(
    "1", "--nodes", metavar="N", help="Hosts on which this command is started; 1:4 for one to four. With --devices."
)
RENDEZVOUS: Any = typer.Option(
    None, "--rendezvous", metavar="HOST:PORT", help="Where the hosts meet: a free port of one of them. With --nodes."
)
RESTARTS: Any = typer.Option(
    0, "--restarts", metavar="N", min=0, help="How often to go on by itself after a process has died. With --devices."
)


def run_together(together: Together, run: Path | None, extra: Sequence[str] = ()) -> int:
    """Start the processes, wait for them, and return the exit status of the command.

    Args:
        together: How many, and where.
        run: The run folder, whose `exit.json` says how it ended.
        extra: Arguments to add to those that were typed.

    Raises:
        RecipeError: R238, several hosts without a place to meet.
        StoppedError: Ctrl-C.
    """
    if together.nodes != "1" and together.rendezvous is None:
        raise RecipeError(
            "R238",
            f"--nodes is {together.nodes}, but the hosts do not know where to meet",
            "give the same --rendezvous HOST:PORT on every host",
        )
    if run is not None:
        remove_exit(run)
    words = [sys.executable, "-m", "pixelwise.ranks.launcher", "--nproc-per-node", str(together.devices)]
    if together.rendezvous is None:
        words.append("--standalone")
    else:
        words += ["--nnodes", together.nodes, "--rdzv-backend", "c10d", "--rdzv-endpoint", together.rendezvous]
    words += ["--max-restarts", str(together.restarts), "--shutdown-timeout", str(SHUTDOWN_SECONDS)]
    words += ["-m", "pixelwise", *_passed_on(arguments), *extra]
    threads = max(1, usable_cores() // (together.devices or 1))
    environment = {"OMP_NUM_THREADS": str(threads), "LOGLEVEL": "CRITICAL"} | dict(os.environ)
    # In a group of its own, the launcher alone gets Ctrl-C, and every process exactly one signal from it.
    process = subprocess.Popen(words, env=environment, start_new_session=True)
    interrupted = _wait(process)
    found = read_exit(run) if run is not None else None
    if found is not None and found.exit_code:
        return 130 if interrupted else found.exit_code
    return 130 if interrupted and process.returncode else process.returncode


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the launcher, and pass signals on to it; returns whether one was Ctrl-C."""
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT and signal.SIGINT in asked:
            process.kill()
            raise StoppedError("I130", "stopped at once", "", exit_code=130)
        asked.append(number)
        process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return signal.SIGINT in asked


def _passed_on(typed: Sequence[str]) -> list[str]:
    """The arguments without those of the launcher."""
    kept, skipping = [], False
    for word in typed:
        name, _, value = word.partition("=")
        if skipping:
            skipping = False
        elif name in ONLY_HERE:
            skipping = not value
        else:
            kept.append(word)
    return kept
