"""What a store of files can do, and two stores: a folder of this machine, and bytes in memory."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from pixelwise.machine.files import flush, let_others_read, link_new
from pixelwise.machine.memory import available_memory
from pixelwise.machine.positions import PositionedFile
from pixelwise.storage.atomic import TEMPORARY_PREFIX, scratch_folder, writing
from pixelwise.storage.names import is_plain_name

MOST_OPEN = 64
"""Number of files of a folder that are kept open; others are closed and opened again when they are needed."""
# Smaller buffers are not worth asking the system for its free memory.
_SMALL = 64 * 1024**2


class Store(Protocol):
    """Files by name, parts of which are read. Usable from several threads, and can be pickled.

    Attributes:
        far: Whether a read waits for another machine.
        by_bytes: Whether positions count bytes. In the columns of a table they count cells, whose content a read of one
            cell returns.
    """

    far: bool
    by_bytes: bool

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

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """As `read`, with what changes when the file does; empty if the store cannot tell."""
        ...


class OutputStore(Store, Protocol):
    """A store to which files are written, each complete or not at all."""

    def put(self, name: str, content: bytes | Path) -> None:
        """Write a file, over one of the same name.

        Args:
            name: Name of the file, with `/` between folders.
            content: Its content, or a file of this machine that has it.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one of this name; returns whether it was written.

        Of several processes that do this at the same time, on whatever machines, exactly one writes.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder and below it, sorted; empty if there is no such folder.

        Args:
            folder: The folder; empty for the whole store.

        Raises:
            OSError: They cannot be listed.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if there is one of this name.

        Raises:
            OSError: It cannot be removed.
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
    by_bytes = True

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

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """See `Store.read_marked`."""
        content = self.read(name, offset, size)
        # Asked afterwards: what was written meanwhile is noticed.
        return content, self._open(name).state

    def put(self, name: str, content: bytes | Path) -> None:
        """See `OutputStore.put`."""
        self._forget(name)
        with writing(self._path(name)) as temporary:
            if isinstance(content, Path):
                shutil.copyfile(content, temporary)
            else:
                temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        """See `OutputStore.create`."""
        path = self._path(name)
        with scratch_folder(path.parent) as scratch:
            written = scratch / path.name
            written.write_bytes(content)
            flush(written)
            let_others_read(written)
            return link_new(written, path)

    def names(self, folder: str) -> list[str]:
        """See `OutputStore.names`; files that are being written are left out."""
        found = []
        for parent, folders, files in os.walk(self._path(folder) if folder else self.folder):
            folders[:] = [name for name in folders if not name.startswith(TEMPORARY_PREFIX)]
            relative = Path(parent).relative_to(self.folder)
            found += [(relative / name).as_posix() for name in files if not name.startswith(TEMPORARY_PREFIX)]
        return sorted(found)

    def remove(self, name: str) -> None:
        """See `OutputStore.remove`."""
        self._forget(name)
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not all(map(is_plain_name, name.split("/"))):
            raise OSError(errno.EINVAL, "its name leads out of the folder", name)
        return self.folder / name

    def _forget(self, name: str) -> None:
        with self._lock:
            self._opened.pop(name, None)

    def _open(self, name: str) -> PositionedFile:
        with self._lock:
            found = self._opened.get(name)
            if found is not None:
                self._opened.move_to_end(name)
                return found
        found = PositionedFile(self._path(name))
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
    by_bytes = True

    def __init__(self, content: bytes) -> None:
        self.content = content

    def size(self, name: str) -> int:
        """See `Store.size`."""
        return len(self.content)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        return self.content[offset : offset + size]

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """See `Store.read_marked`; memory does not change."""
        return self.read(name, offset, size), ""
