"""File locks held by the operating system, which releases them when the process ends, however it ends.

Except on Windows, the whole file is locked (flock). Windows locks byte ranges, each for a single process: an exclusive
lock takes the whole range, a shared lock one byte of it. The range lies beyond the content of any file, because other
processes cannot read locked bytes on Windows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from pathlib import Path

from pixelwise.machine.files import MOVES_OPEN_FILES, rename

_ATTEMPTS = 3
_PLACE = 1 << 30
"""Offset of the locked range on Windows, in bytes."""
_SHARES = 256
"""Number of processes that can share a lock on Windows."""
_Region = tuple[int, int]


class HeldLock:
    """An exclusive or shared lock on a file, held until it is released or the process ends.

    Attributes:
        descriptor: File descriptor, open for reading and writing.
        path: Path of the locked file.
    """

    def __init__(self, descriptor: int, path: Path, region: _Region) -> None:
        self.descriptor = descriptor
        self.path = path
        self._region = region

    def stands_for(self, path: Path) -> bool:
        """Whether `path` is still the locked file rather than another one in its place."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(path))
        except OSError:
            return False

    def move_to(self, path: Path) -> None:
        """Rename the file to a name that must not exist yet; it stays locked.

        Raises:
            OSError: The file cannot be renamed; the lock has been released.
        """
        try:
            rename(self.path, path)
        except OSError:
            self.release()
            raise
        self.path = path

    def release(self, *, remove: bool = False) -> None:
        """Release the lock, for forked children too.

        Args:
            remove: Remove the file as well; a process that asks for the lock meanwhile gets that of a new file.
        """
        if remove and MOVES_OPEN_FILES:
            self.path.unlink(missing_ok=True)
        try:
            _unlock(self.descriptor, self._region)
        finally:
            os.close(self.descriptor)
        if remove and not MOVES_OPEN_FILES:
            with contextlib.suppress(OSError):  # another process has opened the file since
                self.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """In a forked child: close the file and leave the lock to the parent."""
        os.close(self.descriptor)


def take_lock(path: Path, *, shared: bool = False) -> HeldLock | None:
    """Lock a file, which is created if it does not exist; None if another process holds the lock.

    Args:
        path: File to lock, in an existing folder.
        shared: Take a shared lock instead of an exclusive one.

    Raises:
        OSError: The file cannot be opened, or its file system does not support locks.
    """
    for _ in range(_ATTEMPTS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            region = _lock(descriptor, shared)
            if region is None:
                os.close(descriptor)
                return None
        except BaseException:
            os.close(descriptor)
            raise
        lock = HeldLock(descriptor, path, region)
        if lock.stands_for(path):
            return lock
        lock.release()  # the previous holder has removed the file
    return None


def _lock(descriptor: int, shared: bool) -> _Region | None:
    """The locked region; None if another process holds the lock."""
    try:
        import fcntl
    except ImportError:
        return _lock_bytes(descriptor, shared)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return (0, 0)


def _unlock(descriptor: int, region: _Region) -> None:
    try:
        import fcntl
    except ImportError:
        _unlock_bytes(descriptor, region)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _lock_bytes(descriptor: int, shared: bool) -> _Region | None:
    import msvcrt

    start = random.randrange(_SHARES)  # so that sharing processes seldom try the same byte
    bytes_to_try = [(_PLACE + (start + number) % _SHARES, 1) for number in range(_SHARES)]
    for place, length in bytes_to_try if shared else [(_PLACE, _SHARES)]:
        os.lseek(descriptor, place, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, length)  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                raise
        else:
            return place, length
    return None


def _unlock_bytes(descriptor: int, region: _Region) -> None:
    import msvcrt

    place, length = region
    os.lseek(descriptor, place, os.SEEK_SET)
    msvcrt.locking(descriptor, msvcrt.LK_UNLCK, length)  # type: ignore[attr-defined]
