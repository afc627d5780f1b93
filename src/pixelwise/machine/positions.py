"""Files of which parts are read by position, by several threads and forked processes at the same time."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

_READS_AT = hasattr(os, "pread")


class PositionedFile:
    """An open regular file. It is closed when nobody refers to it any more: another thread may still be reading it.

    Args:
        path: The file. What is not a regular file is refused; opening a named pipe would wait for a writer.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags)
        self._lock = threading.Lock()
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return os.fstat(self._descriptor).st_size

    @property
    def state(self) -> str:
        """Size and time of the last change, which changes with the content."""
        facts = os.fstat(self._descriptor)
        return f"{facts.st_size} {facts.st_mtime_ns}"

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer if the file ends before.

        Raises:
            OSError: The file cannot be read.
        """
        # Python allocates as many bytes as are asked for.
        end = min(offset + size, self.size)
        parts = []
        while offset < end:
            part = self._some(offset, end - offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, offset: int, size: int) -> bytes:
        if _READS_AT:
            return os.pread(self._descriptor, size, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)
