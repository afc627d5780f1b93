"""Locks that keep a run folder or a piece of work to one process, and mark folders as in use."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pixelwise.errors import ResourceError, RunLockedError
from pixelwise.machine.locks import HeldLock, take_lock
from pixelwise.machine.processes import host_name
from pixelwise.storage.atomic import LOCK, LOCK_PREFIX
from pixelwise.storage.hashing import sha256_bytes
from pixelwise.storage.names import printable
from pixelwise.storage.stores.addresses import require_local

_RUN_LOCK = "run.lock"
_POLL_SECONDS = 0.05
_MOST_IN_USE = 64

_held: set[HeldLock] = set()
"""The locks held by `run_lock` and `writing_alone`."""
_in_use: dict[Path, HeldLock] = {}
"""The locks held by `keep_in_use`, the latest last."""


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/run.lock` for the duration of the block.

    The system releases the lock when its process ends, however it ends, so a stale lock file never blocks another run.
    Forked children have to call `release_inherited_locks`. If the block fails, what was created for the lock is removed
    again: the file, and the folder if it contains nothing else.

    Raises:
        RecipeError: R294, the folder is an address.
        RunLockedError: L701, another process holds the lock; the message has its host, process id and start time.
        ResourceError: S604, the file system does not support locks.
    """
    require_local(folder)
    path = folder / _RUN_LOCK
    new_folder, new_file = not folder.exists(), not path.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _run_lock_of(path)
    _held.add(lock)
    failed = True
    try:
        _sign(lock)
        yield
        failed = False
    finally:
        _held.discard(lock)
        os.ftruncate(lock.descriptor, 0)
        lock.release(remove=failed and new_file)
        if failed and new_folder:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _run_lock_of(path: Path) -> HeldLock:
    """Take the lock of a run; raises the same errors as `run_lock`."""
    try:
        lock = take_lock(path)
        if lock is not None:
            return lock
        holder = _holder(path.read_bytes())
    except OSError as error:
        raise ResourceError(
            "S604",
            f"{printable(path)}: the file system cannot lock files ({error.strerror})",
            "put the folder on a local disk",
        ) from error
    raise RunLockedError(
        "L701",
        f"{printable(path.parent)}: another run is using this folder ({holder})",
        "wait for it, stop it, or use another folder",
    )


@contextlib.contextmanager
def writing_alone(output: Path, *, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Keep other processes from writing to `output`, a file or folder that need not exist, during the block.

    Processes agree on a lock file beside `output`, or within it if the folder around it is read-only. The file is
    removed after the block; if its process is killed, by whoever next writes there. On a file system that does not
    support locks the block runs without one. Forked children have to call `release_inherited_locks`.

    Args:
        output: File or folder to write; processes that name it differently (links, relative paths) mean the same.
        wait: Wait for the other process, for writes that take a moment.
        shared: Keep only those away that do not share, for jobs that write different files.

    Raises:
        RecipeError: R294, `output` is an address.
        RunLockedError: L701, another process writes to `output`; the message has its host, process id and start time.
    """
    require_local(output)
    place = Path(os.path.realpath(output))
    missing = [folder for folder in place.parents if not folder.exists()]
    try:
        lock = _output_lock(place, wait=wait, shared=shared)
        if lock is not None:
            _held.add(lock)
        try:
            yield
        finally:
            if lock is not None:
                _held.discard(lock)
                lock.release(remove=not shared)
                if shared:
                    _remove_if_free(lock.path)
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # it is not empty, or was never created
                folder.rmdir()


def _remove_if_free(path: Path) -> None:
    """Remove the file of a lock that was shared, unless a process holds it still."""
    with contextlib.suppress(OSError):
        lock = take_lock(path)
        if lock is not None:
            lock.release(remove=True)


def _output_lock(place: Path, *, wait: bool, shared: bool) -> HeldLock | None:
    """The lock of an output; None if none can be taken there. Raises the same error as `writing_alone`."""
    name = f"{LOCK_PREFIX}{sha256_bytes(os.fsencode(place.name))[:16]}"
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
    for folder in (place.parent, place):
        with contextlib.suppress(OSError):  # it is read-only, or its file system cannot lock files
            lock = take_lock(folder / name, shared=shared)
            if lock is None:
                time.sleep(_POLL_SECONDS)  # a process that looks for leftovers holds it for a moment
                take = _wait_for if wait else take_lock
                lock = take(folder / name, shared=shared)
            if lock is None:
                raise RunLockedError(
                    "L701",
                    f"{printable(place)}: another process is writing here ({_holder_of(folder / name)})",
                    "wait for it, stop it, or choose another output",
                )
            _sign(lock)
            return lock
    return None


def _sign(lock: HeldLock) -> None:
    """Write into the file of a lock who holds it."""
    facts = {"host": host_name(), "pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}
    with contextlib.suppress(OSError):  # on a full disk the lock is held all the same
        os.ftruncate(lock.descriptor, 0)
        os.lseek(lock.descriptor, 0, os.SEEK_SET)
        os.write(lock.descriptor, json.dumps(facts).encode())


def _holder_of(path: Path) -> str:
    try:
        return _holder(path.read_bytes())
    except OSError:
        return _holder(b"")


def is_run_held(folder: Path) -> bool:
    """Whether a process, this one or another, holds the lock of a run through `run_lock`."""
    path = folder / _RUN_LOCK
    if not path.exists():
        return False
    with contextlib.suppress(OSError):
        lock = take_lock(path)
        if lock is None:
            return True
        lock.release()
    return False


@contextlib.contextmanager
def work_lock(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold `folder/lock` for the duration of the block, after waiting for any other process that holds it.

    The lock only saves doing the same work twice: if the file system does not support locks, the block runs anyway.

    Args:
        folder: Folder of the lock, created if missing.
        waiting: Called once if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = None
    with contextlib.suppress(OSError):
        lock = _wait_for(folder / LOCK, shared=False, waiting=waiting)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


@contextlib.contextmanager
def lock_if_free(folder: Path) -> Iterator[bool]:
    """Hold `folder/lock` for the duration of the block and yield True, or yield False if a process holds it.

    On a file system that does not support locks, no lock counts as held.
    """
    lock, free = None, True
    with contextlib.suppress(OSError):
        lock = take_lock(folder / LOCK)
        free = lock is not None
    try:
        yield free
    finally:
        if lock is not None:
            lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder through `work_lock` or `keep_in_use`."""
    if not (folder / LOCK).exists():
        return False
    with lock_if_free(folder) as free:
        return not free


def shared_lock(folder: Path, *, new: bool = False) -> HeldLock | None:
    """Take a shared lock on `folder/lock`, to be held until it is released.

    Many processes can share a lock; an exclusive request, such as that of `lock_if_free`, fails meanwhile. Forked
    children share it with this process, and it lasts until the last of them ends.

    Args:
        folder: Folder to protect.
        new: Whether this process has just created the folder; its lock is then never seen as free.

    Returns:
        The lock; None if the folder does not exist, or the file system does not support locks.
    """
    with contextlib.suppress(OSError):
        if not new:
            return _wait_for(folder / LOCK, shared=True)
        lock = take_lock(folder / f"{LOCK}.new", shared=True)
        if lock is not None:
            lock.move_to(folder / LOCK)
        return lock
    return None


def keep_in_use(folder: Path) -> None:
    """Share the lock of a folder until this process ends, so that no other process removes the folder meanwhile.

    The files of a cache entry are opened by name at any time, so all of them have to stay. Only the last
    `_MOST_IN_USE` folders are kept in use, because file descriptors are limited.
    """
    before = _in_use.pop(folder, None)
    if before is not None and before.stands_for(folder / LOCK):
        _in_use[folder] = before
        return
    if before is not None:
        before.release()
    lock = shared_lock(folder)
    if lock is not None:
        _in_use[folder] = lock
    while len(_in_use) > _MOST_IN_USE:
        _in_use.pop(next(iter(_in_use))).release()


def stop_using(folder: Path) -> None:
    """Undo `keep_in_use` for a folder."""
    lock = _in_use.pop(folder, None)
    if lock is not None:
        lock.release()


def release_inherited_locks() -> None:
    """Close the locks that a forked child shares with its parent, so that they end with the parent."""
    for lock in _held:
        lock.abandon()
    _held.clear()


def _wait_for(path: Path, *, shared: bool, waiting: Callable[[], None] = lambda: None) -> HeldLock:
    lock = take_lock(path, shared=shared)
    if lock is None:
        waiting()
    while lock is None:
        time.sleep(_POLL_SECONDS)
        lock = take_lock(path, shared=shared)
    return lock


def _holder(content: bytes) -> str:
    try:
        facts = json.loads(content)
        return f"process {facts['pid']} on {facts['host']}, since {facts['started']}"
    except (ValueError, KeyError, TypeError):
        return "an unknown process"
