"""Strips and tiles of TIFF files whose compression tifffile cannot undo by itself.

Without the package imagecodecs, tifffile undoes deflate only. The libtiff in Pillow knows LZW, Zstandard, LZMA and
PackBits, too, but opens pictures of up to four channels only. A strip or tile is a stream of bytes, however, whatever
its numbers mean: each is handed to libtiff as a grey picture of its own, and the numbers are made here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits", 34925: "LZMA", 50000: "ZSTD"}
"""What `read_pages` can undo: the number in the file -> its name."""
PREDICTORS = (1, 2, 3)
"""None, differences of neighbours, and differences of the bytes of floating-point numbers."""
_LITTLE_ENDIAN, _SHORT, _LONG = b"II*\0", 3, 4


class _Segment(NamedTuple):
    """A strip or tile: which one, and where its pixels go."""

    number: int
    plane: int
    top: int
    left: int
    height: int
    width: int


def can_read(page: Any) -> bool:
    """Whether `read_pages` can read a page (a `tifffile.TiffPage`) and every other one of its kind."""
    whole_bytes = page.bitspersample in (8, 16, 32, 64) and page.fillorder == 1
    flat = getattr(page, "imagedepth", 1) == 1 and not page.is_subsampled
    return page.compression in COMPRESSIONS and page.predictor in PREDICTORS and whole_bytes and flat


def read_pages(file: Any, pages: Iterable[Any], max_pixels: int) -> np.ndarray:
    """The numbers of pages of the same kind, as `tifffile.TiffPageSeries.asarray` stacks them.

    Args:
        file: An open `tifffile.TiffFile`.
        pages: Some of its pages, for the first of which `can_read` is true.
        max_pixels: A strip or tile that claims to hold more is refused.

    Returns:
        (pages, samples, H, W) or, where the samples of a pixel lie together, (pages, H, W, samples).

    Raises:
        ValueError: A strip or tile is damaged, missing, or too large.
        OSError: The file cannot be read.
    """
    return np.stack([_read_page(file, page, max_pixels) for page in pages])


def _read_page(file: Any, page: Any, max_pixels: int) -> np.ndarray:
    frame = page.keyframe
    together = frame.planarconfig == 1
    samples = frame.samplesperpixel if together else 1
    planes = 1 if together else frame.samplesperpixel
    dtype = np.dtype(frame.dtype)
    values = np.zeros((planes, frame.imagelength, frame.imagewidth, samples), dtype)
    for part in _segments(frame, planes):
        if part.height * part.width > max_pixels:
            raise ValueError(f"a strip or tile claims to have {part.height}x{part.width} pixels")
        offset, count = page.dataoffsets[part.number], page.databytecounts[part.number]
        if count == 0:
            continue  # written by GDAL where nothing was: zeros
        file.filehandle.seek(offset)
        data = file.filehandle.read(count)
        data = decompress(data, frame.compression, part.height, part.width * samples * dtype.itemsize)
        shape = (part.height, part.width, samples)
        pixels = undo_prediction(data, frame.predictor, shape, dtype.newbyteorder(file.byteorder))
        place = values[part.plane, part.top : part.top + part.height, part.left : part.left + part.width]
        place[:] = pixels[: place.shape[0], : place.shape[1]]
    return values[0] if together else values[..., 0]


def _segments(frame: Any, planes: int) -> Iterator[_Segment]:
    """Of every plane in turn, from left to right and from top to bottom; the last strip may be shorter."""
    height, width = frame.imagelength, frame.imagewidth
    if frame.is_tiled:
        rows, columns = frame.tilelength, frame.tilewidth
    else:
        rows, columns = min(frame.rowsperstrip, height), width
    index = 0
    for plane in range(planes):
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                yield _Segment(index, plane, top, left, rows if frame.is_tiled else min(rows, height - top), columns)
                index += 1


def decompress(data: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a strip or tile.

    Args:
        data: As stored.
        compression: One of `COMPRESSIONS`.
        rows: Of pixels.
        row_bytes: Bytes of each.

    Raises:
        ValueError: The data are damaged, or too few.
    """
    if compression == 1:
        if len(data) < rows * row_bytes:
            raise ValueError(f"a strip or tile has {len(data)} bytes; expected {rows * row_bytes}")
        return data[: rows * row_bytes]
    # tag, type, value: width, height, 8 bits, compression, black is 0, offset, one sample, one strip, its bytes.
    entries = (
        (256, _LONG, row_bytes), (257, _LONG, rows), (258, _SHORT, 8), (259, _SHORT, compression), (262, _SHORT, 1),
        (273, _LONG, 8 + 2 + 9 * 12 + 4), (277, _SHORT, 1), (278, _LONG, rows), (279, _LONG, len(data)),
    )  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    header = _LITTLE_ENDIAN + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0)
    try:
        with TiffImageFile(io.BytesIO(header + data)) as picture:
            return picture.tobytes()
    except (OSError, SyntaxError) as error:
        # libtiff's errors look like those of the disk.
        raise ValueError(f"a strip or tile compressed by {COMPRESSIONS[compression]} is damaged: {error}") from error


def undo_prediction(data: bytes, predictor: int, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    """The numbers of a strip or tile of `shape` (rows, columns, samples), in the machine's own byte order.

    Args:
        data: Without compression.
        predictor: One of `PREDICTORS`.
        shape: (rows, columns, samples).
        dtype: With the byte order of the file.
    """
    own = dtype.newbyteorder("=")
    if predictor == 3:
        rows, columns, samples = shape
        # Differences run over the bytes of a row, in steps of `samples`; first the highest byte of every number.
        steps = np.frombuffer(data, np.uint8).reshape(rows, columns * dtype.itemsize, samples)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * samples)
        highest_first = np.ascontiguousarray(np.moveaxis(planes, 1, 2))
        return highest_first.view(own.newbyteorder(">")).astype(own).reshape(shape)
    values = np.frombuffer(data, dtype).astype(own).reshape(shape)
    if predictor == 2:
        # Sums wrap around as the differences did; floats are taken as the integers that their bits are.
        bits = values.view(f"u{own.itemsize}")
        return np.cumsum(bits, axis=1, dtype=bits.dtype).view(own)
    return values
