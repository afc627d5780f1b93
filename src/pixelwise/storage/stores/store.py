"""What a store of large files can do, and two stores: a folder of this machine, and bytes in memory."""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from pixelwise.machine.memory import available_memory
from pixelwise.machine.positions import PositionedFile
from pixelwise.storage.names import is_plain_name

MOST_OPEN = 64
"""Number of files of a folder that are kept open; others are closed and opened again when they are needed."""
# Smaller buffers are not worth asking the system for its free memory.
_SMALL = 64 * 1024**2


class Store(Protocol):
    """Files by name, parts of which are read. Usable from several threads, and can be pickled.

    Attributes:
        far: Whether a read waits for another machine.
    """

    far: bool

    def size(self, name: str) -> int:
        """Length of a file in bytes.

        Raises:
            OSError: There is no such file, or it cannot be read.
        """
        ...

    def read(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes of a file from `offset` on; fewer if the file ends before.

        Raises:
            OSError: There is no such file, or it cannot be read.
            MemoryError: There is less memory than that.
        """
        ...


def require_memory(size: int) -> None:
    """Refuse to read more than there is memory for: what a damaged index asks for may be any number.

    Raises:
        MemoryError: Less memory than `size` bytes is available.
    """
    if size > _SMALL and size > available_memory():
        raise MemoryError(f"{size} bytes")


class FolderStore:
    """The files of a folder; they are opened once and read by position, so that nothing is asked of the folder again.

    Args:
        folder: The folder. No name leads out of it.
    """

    far = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: OrderedDict[str, PositionedFile] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return FolderStore, (self.folder,)

    def size(self, name: str) -> int:
        """See `Store.size`."""
        return self._open(name).size

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        file = self._open(name)
        require_memory(min(size, file.size))
        return file.read(offset, size)

    def _open(self, name: str) -> PositionedFile:
        with self._lock:
            found = self._opened.get(name)
            if found is not None:
                self._opened.move_to_end(name)
                return found
        if not is_plain_name(name):
            raise OSError(errno.EINVAL, "its name leads out of the folder", name)
        found = PositionedFile(self.folder / name)
        with self._lock:
            found = self._opened.setdefault(name, found)
            while len(self._opened) > MOST_OPEN:
                self._opened.popitem(last=False)
        return found


class MemoryStore:
    """One file in memory.

    Args:
        content: The content of the file, whatever it is called.
    """

    far = False

    def __init__(self, content: bytes) -> None:
        self.content = content

    def size(self, name: str) -> int:
        """See `Store.size`."""
        return len(self.content)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        return self.content[offset : offset + size]
