"""One process per run folder, and per piece of work that several would do alike; folders that are in use."""

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

LOCK = "lock"
"""The file in a folder that stands for its lock."""
_ATTEMPTS = 3
_MOST_IN_USE = 64

_held: set[int] = set()
_in_use: dict[Path, int] = {}
"""The descriptors of `keep_in_use`, the latest last."""


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
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    # A Timeout is an OSError, too.
    with contextlib.suppress(OSError):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def lock_if_free(folder: Path) -> Iterator[bool]:
    """Hold `folder/lock` for the duration of the block, unless a process holds it: then the block is given False.

    Where the file system cannot lock, no process holds anything.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    free = True
    try:
        lock.acquire(timeout=0)
    except Timeout:
        free = False
    except OSError:
        pass
    try:
        yield free
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder, by `work_lock` or by `keep_in_use`."""
    if not (folder / LOCK).exists():
        return False
    with lock_if_free(folder) as free:
        return not free


def shared_lock(folder: Path, *, new: bool = False) -> int | None:
    """A descriptor through which this process shares `folder/lock`, until it is closed.

    Many processes may share a lock; who asks for it alone, as `lock_if_free` does, does not get it meanwhile. Forked
    children share it with this process, and it lasts as long as one of them lives.

    Args:
        folder: The folder to be kept.
        new: Whether this process has just made the folder; then its lock is never seen free.

    Returns:
        None where there is no such folder, or the file system cannot lock.
    """
    path = folder / (f"{LOCK}.new" if new else LOCK)
    with contextlib.suppress(OSError):
        for _ in range(_ATTEMPTS):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if new:
                    os.rename(path, folder / LOCK)
                if os.fstat(descriptor).st_nlink:
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # who held the lock before has removed the file
    return None


def keep_in_use(folder: Path) -> None:
    """Share the lock of a folder until this process ends, so that no other process clears it away meanwhile.

    Files of an entry of the cache are opened by their names at any time, which takes all of them to stay. Only the
    last `_MOST_IN_USE` folders are kept: descriptors are few.
    """
    before = _in_use.pop(folder, None)
    if before is not None and _is_lock_of(before, folder):
        _in_use[folder] = before
        return
    if before is not None:
        os.close(before)
    descriptor = shared_lock(folder)
    if descriptor is not None:
        _in_use[folder] = descriptor
    while len(_in_use) > _MOST_IN_USE:
        os.close(_in_use.pop(next(iter(_in_use))))


def _is_lock_of(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder / LOCK))
    except OSError:
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
