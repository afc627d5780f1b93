"""Reads `log.jsonl` while it grows: each call gives the records written since the last one, with their positions.

Training and `pixelwise track` read the log through this, so a tracker gets the same of a run whenever it looks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.records.log import LOG, AnyRecord
from pixelwise.records.tracking.marks import Position
from pixelwise.storage.documents import DocumentError, is_irregular

LARGEST_PART = 4 * 1024**2
"""Number of bytes that one call reads at most."""


class Entry(NamedTuple):
    """A record of the log.

    Attributes:
        record: The record.
        kind: Its kind, such as `step`.
        position: Its position among the records of its kind.
    """

    record: AnyRecord
    kind: str
    position: Position


class LogReader:
    """Reads the log of a run from its beginning, and then what is added.

    Where the log was rewound, as for a run that is resumed, it is read from its beginning again; positions tell what
    is new.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / LOG
        self._decoder = msgspec.json.Decoder(AnyRecord)
        self._begin(None)

    def read(self) -> list[Entry]:
        """The next records, at most those of `LARGEST_PART` bytes; empty if there are none.

        Lines that are not records in this version are skipped; the last one is left for later until it ends.

        Raises:
            DocumentError: What has the name of the log is not a regular file.
            OSError: The log cannot be read.
        """
        if is_irregular(self._path):  # opening a named pipe would wait for a writer
            raise DocumentError(self._path, "is not a regular file")
        if not self._path.exists():
            return []
        with open(self._path, "rb") as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != self._file or status.st_size < self._offset:
                self._begin((status.st_dev, status.st_ino))
            file.seek(self._offset)
            part = file.read(LARGEST_PART)
        whole = part.rfind(b"\n") + 1
        if not whole and len(part) == LARGEST_PART:  # no record is so long
            whole = len(part)
        self._offset += whole
        return [entry for line in part[:whole].splitlines() if (entry := self._entry(line)) is not None]

    def _begin(self, file: tuple[int, int] | None) -> None:
        self._file, self._offset = file, 0
        self._last: dict[str, Position] = {}

    def _entry(self, line: bytes) -> Entry | None:
        try:
            record = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        kind = str(record.__struct_config__.tag)
        before = self._last.get(kind)
        if before is None or record.step > before.step:
            position = Position(record.step, 0)
        else:
            position = Position(before.step, before.number + 1)
        self._last[kind] = position
        return Entry(record, kind, position)
