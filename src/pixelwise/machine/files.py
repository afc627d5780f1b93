"""File operations that differ between systems: renaming open files, flushing to disk, recognising a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MOVES_OPEN_FILES = sys.platform != "win32"
"""Whether open files, and folders that contain open files, can be renamed and removed."""
_BLOCK = 1 << 20
_TIME_STEPS = (1_000, 1_000_000, 1_000_000_000, 3_000_000_000, 3_000_000_000)
"""Nanoseconds by which a time is set later until the file system tells the difference, the last of them set twice."""
# What file systems without hard links say.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOTSUP, errno.EINVAL)
_PAUSES = (0.01, 0.05, 0.1, 0.2, 0.4)
# Access denied, sharing violation, lock violation: Windows's errors while another program has a file open.
_BUSY = (5, 32, 33)
# Disk full (twice) and quota exceeded: Windows error codes without an errno equivalent.
_FULL_ON_WINDOWS = (39, 112, 1295)


class Room(NamedTuple):
    """The room on a file system.

    Attributes:
        total: Size in bytes.
        free: Bytes that this user may still write.
    """

    total: int
    free: int


def disk_room(folder: Path) -> Room:
    """The room on the file system of a folder, or of the nearest folder above it that exists.

    Raises:
        OSError: The system does not tell.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = shutil.disk_usage(folder)
    return Room(found.total, found.free)


def replace_file(source: Path, target: Path) -> None:
    """Rename a file, replacing the target if it exists, or a folder to a name that does not exist yet.

    On Windows, virus scanners and indexers briefly open new files, which then cannot be renamed; the call retries for
    less than a second.

    Raises:
        OSError: The rename failed.
    """
    _while_busy(lambda: os.replace(source, target))


def rename(source: Path, target: Path) -> None:
    """Rename to a name that must not exist yet; otherwise like `replace_file`."""
    _while_busy(lambda: os.rename(source, target))


def link_new(source: Path, target: Path) -> bool:
    """Give a file a second name, unless that name is taken; returns whether it was given.

    Of several processes that do this at the same time exactly one succeeds, on network file systems too. Where the file
    system has no hard links, the content is written to a new file, which a crash can leave incomplete.

    Raises:
        OSError: The name cannot be given.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            with open(target, "xb") as file:
                file.write(source.read_bytes())
        except FileExistsError:
            return False
        flush(target)
    flush(target.parent)
    return True


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk.

    On Windows folders cannot be opened, and there is nothing to do for them.

    Raises:
        OSError: The file or folder cannot be opened, or the disk failed.
    """
    folder = path.is_dir()
    if folder and sys.platform == "win32":
        return
    # Windows flushes only files opened for writing; Linux does not open folders for writing.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def facts_of_file(size: int) -> os.stat_result:
    """What the system would say of a regular file that nobody can write, of `size` bytes and without a time."""
    return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, size, 0, 0, 0))


def let_others_read(path: Path, before: Path | None = None) -> None:
    """Make a private temporary file or folder readable by all users (Windows inherits the parent's permissions).

    Args:
        path: The file or folder.
        before: A file that it is about to replace: if there is one, its permissions are kept, whoever they are for.
    """
    mode = 0o755 if path.is_dir() else 0o644
    if before is not None:
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(os.stat(before).st_mode)
    os.chmod(path, mode)


def make_newer(path: Path, other: Path) -> None:
    """Give a file a later modification time than another one has, whatever the clock and its resolution say.

    Caches know files by size and time: a file that replaces another one within the resolution of the times would
    otherwise be taken for it.

    Raises:
        OSError: A file is missing, or its time cannot be set.
    """
    before = os.stat(other).st_mtime_ns
    for step in _TIME_STEPS:
        if os.stat(path).st_mtime_ns > before:
            return
        os.utime(path, ns=(before + step, before + step))


def is_disk_full(error: OSError) -> bool:
    """Whether an error means that the disk is full, the quota is used up or the file is too large."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or getattr(error, "winerror", None) in _FULL_ON_WINDOWS


def has_room(folder: Path, size: int) -> bool:
    """Whether a file of `size` bytes can be written in a folder, by writing one; it is removed again."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            for _ in range(size // _BLOCK + 1):
                probe.write(bytes(_BLOCK))
    except OSError as error:
        return not is_disk_full(error)
    return True


def _while_busy(work: Callable[[], None]) -> None:
    for pause in _PAUSES:
        try:
            return work()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _BUSY:
                raise
        time.sleep(pause)
    return work()


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link, or a file that has other names too (hard links), wherever these are."""
    return os.path.islink(path) or (os.path.isfile(path) and os.stat(path).st_nlink > 1)
