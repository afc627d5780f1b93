"""The end of a log that another process writes: each call reads only what was added since the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pixelwise.storage.documents import is_irregular

CHUNK = 1 << 20
"""Bytes that are read at once."""
LONGEST_LINE = 1 << 20
"""Longest line in bytes. Records are far shorter; what is longer is left out, so that no file fills the memory."""
_REMEMBERED = 256
"""Bytes before the offset that are compared, to notice a file that was written anew in place."""


class Tail:
    """Reads a growing file line by line.

    Args:
        path: The file, which may be missing.

    Attributes:
        restarts: Number of times that the file turned out to be another one: replaced, as by a resume, shortened, or
            removed. All lines of it are then read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.restarts = 0
        self._forget()

    def lines(self) -> Iterator[bytes]:
        """The complete lines that were added, without their ends.

        Before the first line, `restarts` tells whether they continue the earlier ones. A last line without its end is
        yielded by the call that finds it complete. What cannot be opened counts as missing.
        """
        try:
            if is_irregular(self._path):  # opening a named pipe would wait for a writer
                raise FileNotFoundError
            with open(self._path, "rb") as file:
                self._find_place(file)
                while content := file.read(CHUNK):
                    self._offset += len(content)
                    self._before = (self._before + content)[-_REMEMBERED:]
                    yield from self._complete(content)
        except OSError:
            self._begin_again()

    def _find_place(self, file: BinaryIO) -> None:
        """Go to what has not been read of a file, which is all of it if it is another one than before."""
        facts = os.fstat(file.fileno())
        identity = facts.st_dev, facts.st_ino
        if self._offset and (identity != self._identity or not self._continues(file, facts.st_size)):
            self._begin_again()
        self._identity = identity
        file.seek(self._offset)

    def _continues(self, file: BinaryIO, size: int) -> bool:
        """Whether the bytes before the offset are those that were read."""
        if size < self._offset:
            return False
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _complete(self, content: bytes) -> Iterator[bytes]:
        first, *rest = content.split(b"\n")
        if not self._skipping:
            self._torn += first
            self._skipping = len(self._torn) > LONGEST_LINE
        if self._skipping:
            self._torn = b""
        if not rest:
            return
        if not self._skipping:
            yield self._torn
        yield from rest[:-1]
        self._torn, self._skipping = rest[-1], False

    def _begin_again(self) -> None:
        if self._offset:
            self.restarts += 1
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._identity = 0, 0
        self._before = self._torn = b""
        self._skipping = False
