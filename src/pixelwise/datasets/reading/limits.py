"""What a file may claim: pixels that exist, and no more bytes than it has or than fit into memory.

A damaged or hostile header claims any size. Buffers are allocated by it before the data turns out to be missing, and on
most systems that ends the process instead of raising an error.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pixelwise.errors import DataError
from pixelwise.machine.memory import available_memory
from pixelwise.storage import printable

# Smaller buffers are not worth asking the system for its free memory.
_SMALL = 64 * 1024**2


class WithinFile(io.BufferedReader):
    """A file from which no more is read than it holds.

    Python allocates as many bytes as a caller asks for, and decoders ask for as many as a chunk claims to have.

    Args:
        file: The file, just opened; it is closed with this object.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(file.detach())
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes; all that are left if it is negative or None."""
        if size is not None and size > io.DEFAULT_BUFFER_SIZE:
            size = min(size, max(self._length - self.tell(), 0))
        return super().read(size)


def too_many_pixels(path: Path, pixels: int, max_pixels: int) -> DataError:
    """D120: an image has more pixels than `data.max_pixels` allows to be decoded whole."""
    return DataError(
        "D120",
        f"{printable(path)}: {pixels / 1e6:.1f} million pixels; data.max_pixels allows {max_pixels / 1e6:.1f} million",
        f"if the image is meant to be this large, set data.max_pixels={pixels}",
    )


def require_pixels(path: Path, shape: Sequence[int]) -> None:
    """Refuse an image without pixels.

    Args:
        path: File.
        shape: Lengths of the array's axes.

    Raises:
        DataError: D101, the array is empty.
    """
    if math.prod(shape) <= 0:
        raise DataError(
            "D101",
            f"{printable(path)}: damaged: its size is {'x'.join(map(str, shape))}, so it has no pixels",
            "copy or export the file again, or remove it together with its mask",
        )


def require_room(path: Path, size: int) -> None:
    """Refuse a file that needs more memory than there is.

    Args:
        path: File.
        size: Bytes that its content takes in memory.

    Raises:
        DataError: D151, less memory is available.
    """
    if size > _SMALL and size > (free := available_memory()):
        # A header may state a number of thousands of digits.
        needed = f"{size / 1e9:.1f} GB" if size < 10**18 else "more than a billion GB"
        raise no_room(path, f"needs {needed} of memory, but {free / 1e9:.1f} GB are available")


@contextlib.contextmanager
def within_memory(path: Path) -> Iterator[None]:
    """Context that reads one file: running out of memory becomes D151."""
    try:
        yield
    except MemoryError as error:
        raise no_room(path) from error


def no_room(path: Path, reason: str = "needs more memory than there is") -> DataError:
    """D151 for a file that does not fit into memory."""
    return DataError(
        "D151",
        f"{printable(path)}: {reason}",
        "close other programs, or cut the image into tiles; if its header is damaged, export it again",
    )
