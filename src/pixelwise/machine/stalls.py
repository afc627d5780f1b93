"""Says which file is being read when a read does not come back, as on a network drive that has gone away.

One thread watches the reads of a process while there are any. It ends before the process forks, because the child of a
process with several threads may hang.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from pathlib import Path

from pixelwise.errors import PixelwiseWarning

PATIENCE = 30.0
"""Seconds after which a read is mentioned."""
_LOOKS = 10
"""Number of times that the thread looks at the reads within `PATIENCE`."""

_reads: dict[int, tuple[Path, float]] = {}
"""The reads in progress: the path, and the time of `time.monotonic` when it began."""
_wake = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


class reads:
    """Context in which a file or folder is read: W606 is given once if it takes longer than `PATIENCE`.

    Args:
        path: Path for the message.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        _reads[id(self)] = self._path, time.monotonic()
        if _thread is None:
            _start()

    def __exit__(self, *_: object) -> None:
        _reads.pop(id(self), None)


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None:
            _wake.clear()
            _thread = threading.Thread(target=_watch, name="reads", daemon=True)
            _thread.start()


def _watch() -> None:
    """Mention the reads that take long, until there are none."""
    global _thread
    told: set[tuple[Path, float]] = set()
    while not _wake.wait(PATIENCE / _LOOKS):
        with _starting:  # so that no read begins between looking and ending
            if not _reads:
                _thread = None
                return
        now = time.monotonic()
        # The dictionary may change while it is copied; it is looked at again soon.
        slow = {read for read in _copied() if now - read[1] >= PATIENCE} - told
        for path in {path for path, _ in slow} - {path for path, _ in told}:
            warnings.warn(
                PixelwiseWarning(
                    "W606",
                    f"{path}: still being read after {PATIENCE:.0f} seconds",
                    "if its drive does not answer, stop with Ctrl-C; otherwise wait",
                ),
                stacklevel=1,
            )
        told |= slow


def _copied() -> list[tuple[Path, float]]:
    try:
        return list(_reads.values())
    except RuntimeError:
        return []


def _end() -> None:
    """Before a fork: end the thread."""
    global _thread
    thread = _thread
    if thread is not None:
        _wake.set()
        thread.join()
        _thread = None


def _resume() -> None:
    """After a fork, in the parent: watch the reads of the other threads again."""
    if _reads:
        _start()


def _forget() -> None:
    """After a fork, in the child: the reads are those of the parent."""
    global _starting, _wake
    _reads.clear()
    _starting, _wake = threading.Lock(), threading.Event()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_end, after_in_parent=_resume, after_in_child=_forget)
