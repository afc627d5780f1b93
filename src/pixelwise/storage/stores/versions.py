"""Notices files that change while parts of them are read: parts of two versions are no file that anybody ever wrote.

The SHA-256 of a file is that of all of it, so parts cannot be compared with it. Stores say of which version each part
is: object stores and servers by a tag or the time of the last change, a folder by size and time.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Mapping

from pixelwise.storage.stores.store import Store


class ChangedFileError(OSError):
    """A file is no longer the one of which parts were read before."""

    def __init__(self) -> None:
        super().__init__(errno.ESTALE, "the file in which it lies has changed since parts of it were read")


class Versions:
    """The version of each file of a store of which parts were read, for as long as a data set is open.

    A process that receives a pickled one knows the versions that were known then. Usable from several threads.

    Args:
        known: Name of a file -> what its store says of its version.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type, tuple[dict[str, str]]]:
        with self._lock:
            return Versions, (dict(self._known),)

    def read(self, store: Store, name: str, offset: int, size: int) -> bytes:
        """As `Store.read`, if the file is of the version of which parts were read before.

        Raises:
            ChangedFileError: It is of another version.
            OSError: There is no such file, or it cannot be read.
            MemoryError: There is less memory than that.
        """
        content, mark = store.read_marked(name, offset, size)
        with self._lock:
            first = self._known.setdefault(name, mark)
        # A mark of nothing says nothing.
        if first and mark and first != mark:
            raise ChangedFileError
        return content
