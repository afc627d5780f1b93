"""One process per run folder, and per piece of work that several would do alike."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pixelwise.errors import ResourceError, RunLockedError
from pixelwise.storage.names import printable

_held: set[int] = set()


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/run.lock` for the duration of the block.

    The kernel releases the lock when its process ends, however it ends, so a stale file of a dead
    process never blocks anybody. Forked children call `release_inherited_locks`.

    Raises:
        RunLockedError: L701, with host, process id and start of the process that holds it.
        ResourceError: S604, the file system cannot lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.lock"
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunLockedError(
                "L701",
                f"{printable(folder)}: another run works in this folder ({_holder(file.read())})",
                "wait for it, stop it, or choose another --output",
            ) from None
        except OSError as error:
            raise ResourceError(
                "S604",
                f"{printable(path)}: the file system cannot lock files ({error.strerror})",
                "choose an --output on a local disk",
            ) from error
        _held.add(file.fileno())
        file.truncate(0)
        started = time.strftime("%F %T")
        file.write(json.dumps({"host": platform.node(), "pid": os.getpid(), "started": started}))
        file.flush()
        try:
            yield
        finally:
            _held.discard(file.fileno())
            file.truncate(0)


@contextlib.contextmanager
def work_lock(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold `folder/lock` for the duration of the block; waits for another process that holds it.

    For work that only need not be done twice: where the file system cannot lock, the block runs all the same.

    Args:
        folder: Is made.
        waiting: Called once if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a", encoding="utf-8") as file:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(folder: Path) -> bool:
    """Whether a process holds the `work_lock` of a folder."""
    try:
        with open(folder / "lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass  # no lock was ever made, or there are none
    return False


def release_inherited_locks() -> None:
    """Close the locks that a forked child shares with its parent, so that they end with the parent."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


def _holder(text: str) -> str:
    try:
        facts = json.loads(text)
        return f"process {facts['pid']} on {facts['host']}, since {facts['started']}"
    except (ValueError, KeyError, TypeError):
        return "an unknown process"
