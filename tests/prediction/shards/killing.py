"""Ends workers of Ray while they work, as a machine that is taken away does."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psutil


@contextlib.contextmanager
def killed_workers() -> Iterator[list[int]]:
    """Context in which three workers of this process are killed; the list gets their process ids."""
    killed: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=_kill, args=(killed, stop))
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()


def _kill(killed: list[int], stop: threading.Event) -> None:
    """Kill the worker of Ray of this process, three times, a moment after it has begun to write."""
    while not stop.is_set() and len(killed) < 3:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("ray::MapWorker") and process.cpu_times().user > 2:
                    process.kill()
                    killed.append(process.pid)
        time.sleep(0.1)
