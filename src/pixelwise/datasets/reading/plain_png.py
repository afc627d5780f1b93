"""Decoding of PNG files by imagecodecs: plain 8-bit RGB ones in half of Pillow's time, and 16-bit colours exactly.

Many data sets consist of plain files, and decoding takes most of the time to read them. Anything out of the ordinary
(transparency, an orientation, animation, other bit depths, a checksum that does not match) is left to Pillow, which
then determines the pixels or the error. But Pillow reduces colours of 16 bits to 8.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np

from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.orientation import PNG_TEXTS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_8_BITS = bytes([8, 2, 0, 0, 0])
"""Bit depth, colour type, compression, filter method, no interlacing."""
_PIXEL_CHUNKS = frozenset((b"IHDR", b"IDAT", b"IEND"))
_IGNORED_CHUNKS = frozenset((b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"bKGD"))
"""Chunks that change no pixel: Pillow does no colour management either."""
_TEXT_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_ORIENTED = tuple(keyword.encode("latin-1") + b"\0" for keyword in PNG_TEXTS)
_HEADER = struct.Struct(">II5s")
_CHUNK = struct.Struct(">I4s")


def read_plain_png(path: Path, *, max_pixels: int) -> np.ndarray | None:
    """The pixels of an intact plain PNG file, uint8 (H, W, 3) RGB; None for every other file.

    Args:
        path: File of any format.
        max_pixels: Files with more pixels are not decoded.

    Raises:
        DataError: D131, the file is unreadable or not a regular file.
    """
    start = len(_SIGNATURE) + _CHUNK.size
    with open_regular(path) as stream:
        head = stream.read(start + _HEADER.size)
        if len(head) < start + _HEADER.size or not head.startswith(_SIGNATURE):
            return None
        width, height, kind = _HEADER.unpack_from(head, start)
        if kind != _RGB_8_BITS or width * height > max_pixels:
            return None
        stream.seek(0)
        content = stream.read()
    needed = _pixel_chunks(content)
    if needed is None:
        return None
    try:
        return imagecodecs.png_decode(needed)
    except (imagecodecs.PngError, UnicodeDecodeError):  # the latter if the error message quotes a damaged byte
        return None


class DeepPng(NamedTuple):
    """The pixels of a PNG file of 16-bit colours.

    Attributes:
        values: uint16 (H, W, C): grey and alpha, RGB, or RGB and alpha.
        has_alpha: Whether the last channel is transparency, 0 to 65535.
    """

    values: np.ndarray
    has_alpha: bool


def read_deep_png(path: Path) -> DeepPng | None:
    """The exact pixels of a PNG file of 16-bit colours that Pillow can decode; None if imagecodecs cannot.

    Raises:
        DataError: D131, the file is unreadable or not a regular file.
    """
    with open_regular(path) as stream:
        content = stream.read()
    needed: list[bytes | memoryview] = [_SIGNATURE]
    key, view, position = b"", memoryview(content), len(_SIGNATURE)
    while position + _CHUNK.size <= len(content):
        length, kind = _CHUNK.unpack_from(content, position)
        end = position + _CHUNK.size + length + 4
        if kind in _PIXEL_CHUNKS:
            needed.append(view[position:end])
        elif kind == b"tRNS":
            key = bytes(view[position + _CHUNK.size : end - 4])
        position = end
    try:
        values = imagecodecs.png_decode(b"".join(needed))
    except (imagecodecs.PngError, UnicodeDecodeError):
        return None
    if values.dtype != np.uint16 or values.ndim != 3:
        return None
    if values.shape[2] == 3 and len(key) == 6:
        # The file names one colour that stands for transparency.
        hidden = (values == np.frombuffer(key, ">u2").astype(np.uint16)).all(axis=2)
        values = np.dstack([values, np.where(hidden, 0, 65535).astype(np.uint16)])
    return DeepPng(values, values.shape[2] in (2, 4))


def _pixel_chunks(content: bytes) -> bytes | None:
    """A PNG file without the chunks that change no pixel; None if it has others, states an orientation or is damaged.

    The decoder would print warnings about colour profiles.
    """
    view, position = memoryview(content), len(_SIGNATURE)
    needed: list[bytes | memoryview] = [_SIGNATURE]
    while position + _CHUNK.size <= len(content):
        length, kind = _CHUNK.unpack_from(content, position)
        end = position + _CHUNK.size + length
        if (kind not in _PIXEL_CHUNKS and kind not in _IGNORED_CHUNKS) or end + 4 > len(content):
            return None
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return None
        if kind in _TEXT_CHUNKS and bytes(view[position + 8 : position + 48]).startswith(_ORIENTED):
            return None
        if kind in _PIXEL_CHUNKS:
            needed.append(view[position : end + 4])
        if kind == b"IEND":
            return b"".join(needed) if end + 4 == len(content) else None
        position = end + 4
    return None
