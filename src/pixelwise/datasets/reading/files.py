"""Opening files of a data set: regular ones alone, with errors that say what is wrong with the file."""

from __future__ import annotations

import contextlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pixelwise.datasets.reading.limits import WithinFile, no_room
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable
from pixelwise.storage.documents import kind_of_entry
from pixelwise.storage.stores.members import Member
from pixelwise.storage.stores.versions import ChangedFileError


@contextlib.contextmanager
def open_regular(path: Path, *, in_parts: bool = False) -> Iterator[BinaryIO]:
    """Open a regular file, or a file in a shard; opening a FIFO would block forever.

    Args:
        path: The file.
        in_parts: As in `opened_regular`.
    """
    try:
        with reads(path), opened_regular(path, in_parts=in_parts) as stream:
            yield stream
    except OSError as error:
        raise unreadable(path, error) from error


def opened_regular(path: Path, *, in_parts: bool = False) -> BinaryIO:
    """A regular file, or a file in a shard, opened for as long as the caller needs it.

    Args:
        path: The file.
        in_parts: Whether only parts will be read: of large TIFF files in shards, no more than these is asked for.

    Raises:
        DataError: D131, it is no regular file.
        OSError: There is no such file, or it is inaccessible.
    """
    if isinstance(path, Member) and in_parts and path.by_ranges:
        return path.open_ranges()  # type: ignore[return-value]
    if isinstance(path, Member) and path.place is not None:
        return io.BytesIO(path.read_bytes())
    refuse_irregular(path)
    return WithinFile(open(path, "rb"))


def length_of(stream: BinaryIO) -> int:
    """Number of bytes of an open file, whose position is kept."""
    position = stream.tell()
    length = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return length


@contextlib.contextmanager
def errors_explained(path: Path, damaged: str) -> Iterator[None]:
    """Context that reads one file: whatever NumPy, tifffile or the system raises becomes our error.

    Args:
        path: The file.
        damaged: What the file is if its content cannot be read, as a phrase that follows its name.

    Raises:
        DataError: D101 damaged, D131 unreadable, D151 no memory for the content; D275, it changed while it was read.
    """
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise no_room(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    # Damaged files raise exceptions of many types.
    except Exception as error:
        raise DataError(
            "D101",
            f"{printable(path)}: {damaged} ({path.stat().st_size} bytes): {error}",
            "copy or export the file again, or remove it together with its mask",
        ) from error


def refuse_irregular(path: Path) -> None:
    """Refuse what is not a regular file.

    Raises:
        DataError: D131.
        OSError: There is no such file, or it is inaccessible.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise DataError(
            "D131",
            f"{printable(path)}: is {kind_of_entry(mode)}, not a file",
            "remove it or replace it with the image",
        )


def unreadable(path: Path, error: OSError) -> DataError:
    """D131: the entry exists in a listing but cannot be opened; D275: it changed while parts of it were read."""
    if isinstance(error, ChangedFileError):
        return DataError(
            "D275",
            f"{printable(path)}: {error.strerror}",
            "end what writes there, compare the data with its index (`pixelwise data verify`), and start again; a run "
            "goes on with `pixelwise resume`",
        )
    return DataError(
        "D131",
        f"{printable(path)}: cannot be read: {error.strerror or error}",
        "repair the link or the permissions, or remove the entry",
    )
