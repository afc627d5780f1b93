"""Commands of `suite.py`: several at a time, each on cores of its own; if it is stopped, all are asked to save."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from pixelwise.storage import write_bytes

Item = TypeVar("Item")
ATTEMPTS = "attempts.json"
"""Seconds of every command of a cell: trainings, those that were stopped too, and the writing of masks."""


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


class Commands:
    """Runs functions at the same time, and their commands on cores that nothing else here uses.

    Args:
        at_once: How many functions run at a time.
        threads: Cores, and threads of PyTorch, of the commands of each.

    Raises:
        ValueError: This process may not use so many cores.
    """

    def __init__(self, at_once: int, threads: int) -> None:
        cores = usable_cores()
        if at_once * threads > len(cores):
            raise ValueError(f"{at_once} cells at a time with {threads} cores each; this process may use {len(cores)}")
        self.threads = threads
        self._free: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for number in range(at_once):
            self._free.put(cores[number * threads : (number + 1) * threads])
        self._pool = ThreadPoolExecutor(at_once)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def map(self, function: Callable[[Item], None], items: Sequence[Item]) -> None:
        """Call a function with each item.

        Raises:
            BaseException: What the function raised first, or what stopped this process; only once all commands have
                ended, each of which got SIGTERM before.
        """

        def unless_stopped(item: Item) -> None:
            if not self._stopped:
                function(item)

        futures = [self._pool.submit(unless_stopped, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            with self._lock:
                self._stopped = True
                for process in self._running:
                    process.send_signal(signal.SIGTERM)
            self._pool.shutdown(wait=True, cancel_futures=True)
            raise

    def timed(self, command: Sequence[str], folder: Path) -> None:
        """Run a command with its output in `FOLDER/log.txt`, and note there how long it took, even if it is stopped.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        path, start = folder / ATTEMPTS, time.monotonic()
        before = msgspec.json.decode(path.read_bytes(), type=list[float]) if path.is_file() else []
        try:
            self._run(command, folder)
        finally:
            write_bytes(path, msgspec.json.encode([*before, time.monotonic() - start]))

    def _run(self, command: Sequence[str], folder: Path) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads), "PYTHONUNBUFFERED": "1"}
        with open(folder / "log.txt", "ab") as log, self._cores() as cores:
            if hasattr(os, "sched_setaffinity"):
                # On Linux that of this thread, which the command inherits.
                os.sched_setaffinity(0, cores)
            with self._lock:
                if self._stopped:
                    raise subprocess.CalledProcessError(-signal.SIGTERM, command)
                # A session of its own: Ctrl-C reaches this process alone, which then asks all commands to save.
                process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
                self._running.add(process)
            status = process.wait()
            with self._lock:
                self._running.discard(process)
        if status:
            raise subprocess.CalledProcessError(status, command)

    @contextmanager
    def _cores(self) -> Iterator[list[int]]:
        cores = self._free.get()
        try:
            yield cores
        finally:
            self._free.put(cores)
