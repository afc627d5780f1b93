"""Members: files that lie within a larger file of a store, such as a tar, and are read by their place.

A member is a path like any other for whoever names, compares or prints it. Its content is read through the store, and
every byte of it is compared with its SHA-256 before anybody uses it. Large TIFF files of which parts are read are the
exception: `pixelwise data verify` compares them, and the parts are those of one version of the larger file.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any, NamedTuple

from pixelwise.errors import DataError
from pixelwise.machine.files import facts_of_file
from pixelwise.storage.names import printable
from pixelwise.storage.stores.ahead import Range, taken
from pixelwise.storage.stores.ranged import RangedFile
from pixelwise.storage.stores.store import MemoryStore, Store
from pixelwise.storage.stores.versions import Versions

WHOLE = 16 * 1024**2
"""Bytes up to which members are read whole: with one request, and compared with their SHA-256."""
_IN_PARTS = (".tif", ".tiff")


class Place(NamedTuple):
    """Where the content of a member is.

    Attributes:
        store: The store of the larger file.
        name: Name of the larger file in the store.
        offset: Position of the first byte.
        size: Number of bytes.
        sha256: SHA-256 of the content; without `exact`, any 32 bytes that change with it.
        begin: Position of the first byte of the members that are read together with this one.
        end: Position after their last byte.
        exact: Whether `sha256` is known from the content, which is compared with it.
        versions: The versions of the larger files of which parts were read; None not to compare them.
    """

    store: Store
    name: str
    offset: int
    size: int
    sha256: bytes
    begin: int
    end: int
    exact: bool = True
    versions: Versions | None = None

    @property
    def range(self) -> Range:
        """What is read of the larger file to have this member, with those that are read together."""
        return Range(self.store, self.name, self.begin, self.end - self.begin)

    def content(self) -> bytes | None:
        """The content; None if it is not what the SHA-256 says. Members that are read together are read once.

        Raises:
            OSError: The larger file cannot be read, or ends before the content does.
            MemoryError: There is not enough memory for it.
        """
        recent, wanted = _last.value, self.range
        if recent is None or recent.range != wanted:
            read = taken(wanted)
            if read is None:
                read = self.store.read(self.name, self.begin, wanted.size)
            recent = _last.value = _Recent(wanted, read, set())
        start = self.offset - self.begin
        content = recent.content[start : start + self.size] if self.store.by_bytes else recent.content
        if not self.exact:
            if self.store.by_bytes and len(content) < self.size:
                raise OSError(errno.EIO, "the file in which it lies ends before it does")
            return content
        if self not in recent.right:
            if len(content) != self.size or hashlib.sha256(content).digest() != self.sha256:
                _last.value = None
                return None
            recent.right.add(self)
        return content


def in_parts(name: str, size: int) -> bool:
    """Whether parts of a member may be read alone: a TIFF file that is large enough for it.

    Args:
        name: Its name.
        size: Number of its bytes.
    """
    return size > WHOLE and name.lower().endswith(_IN_PARTS)


class _Recent(NamedTuple):
    """What a thread read last, and the members that were compared with their SHA-256."""

    range: Range
    content: bytes
    right: set[Place]


class _Last(threading.local):
    value: _Recent | None = None


# The mask follows its image, and decoders open a file several times.
_last = _Last()


class Member(type(Path())):
    """The path of a file within a larger file, such as `photos/train-000000.tar/0001.jpg`.

    Paths that are derived from it (`parent`, `with_suffix`) are ordinary ones.

    Args:
        path: The path to show.
        place: Where the content is; None makes an ordinary path.
    """

    place: Place | None

    def __new__(cls, path: str | os.PathLike[str], place: Place | None = None) -> Member:
        """Make the path; `pathlib` does that in `__new__`."""
        made = super().__new__(cls, path)
        made.place = place
        return made

    def __init__(self, path: str | os.PathLike[str], place: Place | None = None) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(path)

    # Python 3.11 derives paths of the same class without calling it.
    def __getattr__(self, name: str) -> Any:
        if name == "place":
            return None
        raise AttributeError(name)

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """Derived paths are ordinary ones (Python 3.12)."""
        return Path(*segments)

    def __reduce__(self) -> tuple[Any, ...]:
        return Member, (os.fspath(self), self.place)

    @property
    def by_ranges(self) -> bool:
        """Whether parts of it may be read alone; see `open_ranges`."""
        return self.place is not None and self.place.store.by_bytes and in_parts(self.name, self.place.size)

    def open_ranges(self) -> RangedFile:
        """A stream of the content of which only what is read is asked for, and nothing is compared with the SHA-256.

        Raises:
            OSError: It is not a member.
        """
        place = self.place
        if place is None:
            raise OSError(errno.EINVAL, "it is not a member of a larger file")
        return RangedFile(place.store, place.name, place.offset, place.size, place.versions)

    def stat(self, *, follow_symlinks: bool = True):
        """A regular file that nobody can write, of the member's size and without a time."""
        if self.place is None:
            return super().stat(follow_symlinks=follow_symlinks)
        # The cells of a table tell their sizes when they are read.
        size = self.place.size if self.place.store.by_bytes else len(self.place.content() or b"")
        return facts_of_file(size)

    def is_file(self, *arguments: Any, **options: Any) -> bool:
        """Whether it is a file; its content is not asked for."""
        return self.place is not None or super().is_file(*arguments, **options)

    def exists(self, *arguments: Any, **options: Any) -> bool:
        """Whether it exists; its content is not asked for."""
        return self.place is not None or super().exists(*arguments, **options)

    def read_bytes(self) -> bytes:
        """The content.

        Raises:
            DataError: D271, it is not the content that the index describes.
            OSError: The larger file cannot be read.
            MemoryError: There is not enough memory for it.
        """
        place = self.place
        if place is None:
            return super().read_bytes()
        content = place.content()
        if content is None:
            raise other_content(self)
        return content

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """A stream of the content; members can only be read."""
        if self.place is None:
            return super().open(mode, *arguments, **options)
        if set(mode) - set("rbt"):
            raise PermissionError(f"{printable(self)} is part of a larger file and can only be read")
        stream = io.BytesIO(self.read_bytes())
        return stream if "b" in mode else io.TextIOWrapper(stream, *arguments[1:], **options)


def in_memory(path: Path, content: bytes) -> Member:
    """A member whose content is in memory already, under the name of a file."""
    digest = hashlib.sha256(content).digest()
    return Member(path, Place(MemoryStore(content), "", 0, len(content), digest, 0, len(content)))


def other_content(path: Path) -> DataError:
    """D271 for a member that is not what the index says."""
    return DataError(
        "D271",
        f"{printable(path)}: what lies there is not the file that the index describes: its SHA-256 is another",
        "`pixelwise data verify` lists every such file; copy the shard again, or make the shards again",
    )


def state_of(path: Path) -> str:
    """What changes with the content of a file: size and modification time, or the SHA-256 of a member.

    Raises:
        OSError: The file is inaccessible.
    """
    place = path.place if isinstance(path, Member) else None
    if place is not None:
        return f"{place.size} {place.sha256.hex()}"
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns}"
