"""Locks on files, which the system keeps: one ends with its process, however that ends.

Everywhere but on Windows the whole file is locked (flock). Windows locks ranges of bytes, and only for one process
each: who wants the lock alone takes a range, who shares it takes a byte of that range. The range lies where no file
has content, because there nobody else can read what is locked.
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
"""Where the range begins, for Windows."""
_SHARES = 256
"""How many processes can share a lock, on Windows."""
_Region = tuple[int, int]


class HeldLock:
    """A lock on a file that this process holds alone or shares, until it is released or the process ends.

    Attributes:
        descriptor: Of the file, open for reading and writing.
        path: Of the file.
    """

    def __init__(self, descriptor: int, path: Path, region: _Region) -> None:
        self.descriptor = descriptor
        self.path = path
        self._region = region

    def stands_for(self, path: Path) -> bool:
        """Whether `path` still is the file that is locked, not another one in its place."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(path))
        except OSError:
            return False

    def move_to(self, path: Path) -> None:
        """Rename the file, which stays locked; nothing has the new name yet.

        Raises:
            OSError: It cannot be renamed, and is no longer locked.
        """
        try:
            rename(self.path, path)
        except OSError:
            self.release()
            raise
        self.path = path

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up, for forked children, too.

        Args:
            remove: Remove the file; whoever asks for its lock meanwhile gets that of a new one.
        """
        if remove and MOVES_OPEN_FILES:
            self.path.unlink(missing_ok=True)
        try:
            _unlock(self.descriptor, self._region)
        finally:
            os.close(self.descriptor)
        if remove and not MOVES_OPEN_FILES:
            with contextlib.suppress(OSError):  # another process took it at once
                self.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Close the file in a forked child, which leaves the lock to the parent."""
        os.close(self.descriptor)


def take_lock(path: Path, *, shared: bool = False) -> HeldLock | None:
    """The lock of a file, which is made where it does not exist; None where another process holds it.

    Args:
        path: The file; its folder exists.
        shared: Hold it together with others who share it.

    Raises:
        OSError: The file cannot be opened, or its file system cannot lock.
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
        lock.release()  # who held it before has removed the file
    return None


def _lock(descriptor: int, shared: bool) -> _Region | None:
    """What was locked; None where another process holds it."""
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

    start = random.randrange(_SHARES)  # so that those who share seldom want the same byte
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
