"""What systems disagree about in files: renaming what is open, writing through to the disk, a disk that is full."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

MOVES_OPEN_FILES = sys.platform != "win32"
"""Whether files, and folders with files, can be renamed and removed while a process has them open."""
_PAUSES = (0.01, 0.05, 0.1, 0.2, 0.4)
# Access denied, sharing violation, lock violation: what Windows says while another program looks at a file.
_BUSY = (5, 32, 33)
# Disk full (twice), quota exceeded: Windows has numbers for them that errno does not know.
_FULL_ON_WINDOWS = (39, 112, 1295)


def replace_file(source: Path, target: Path) -> None:
    """Rename a file over another one, or a folder over none.

    On Windows virus scanners and indexers open new files for a moment, which then cannot be renamed: tried again for
    less than a second.

    Raises:
        OSError: It cannot be done.
    """
    _while_busy(lambda: os.replace(source, target))


def rename(source: Path, target: Path) -> None:
    """Rename what must not exist yet; otherwise as `replace_file`."""
    _while_busy(lambda: os.rename(source, target))


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; systems that open no folders see to it themselves.

    Raises:
        OSError: It cannot be opened, or the disk fails.
    """
    folder = path.is_dir()
    if folder and sys.platform == "win32":
        return
    # Windows writes out only what was opened for writing, Linux opens no folder so.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def let_others_read(path: Path) -> None:
    """Undo the privacy of a temporary file or folder; Windows takes rights from the folder around it."""
    os.chmod(path, 0o755 if path.is_dir() else 0o644)


def is_disk_full(error: OSError) -> bool:
    """Whether an error says that the disk, the quota or the largest size of a file is reached."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or getattr(error, "winerror", None) in _FULL_ON_WINDOWS


def _while_busy(work: Callable[[], None]) -> None:
    for pause in _PAUSES:
        try:
            return work()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _BUSY:
                raise
        time.sleep(pause)
    return work()
