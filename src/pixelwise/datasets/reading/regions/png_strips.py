"""PNG files row by row: a file of any height as a sequence of small PNG files, in bounded memory.

Rows are compressed in one stream, and most are stored as differences to the row above, so that a file can only be read
from the top. The decoders of whole files decode the small ones: a pixel has the same value either way.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import imagecodecs
import numpy as np

from pixelwise.recipes.sizes import Size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of PNG files."""
DAMAGED = "truncated or damaged PNG file"
"""What a PNG file is if it cannot be read, as a phrase that follows its name."""
_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> number of channels: grey, RGB, palette, grey and alpha, RGB and alpha."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_AS_BYTES = {1: (8, 0), 2: (8, 4), 3: (8, 2), 4: (8, 6), 6: (16, 2), 8: (16, 6)}
"""Bytes from a pixel to the next one, by which rows are differences -> bit depth and colour type with as many."""
_KINDS = 5
"""Number of kinds of differences that a row may be stored as."""
_COLORS = (b"PLTE", b"tRNS")
_LARGEST_CHUNK = 1 << 16
"""More bytes than a palette or its transparency can have."""
_PIECE = 1 << 16
_NAME = re.compile(rb"\w{4}")
_MOST_INFLATED = 1032
"""Bytes that a compressed byte can stand for: deflate repeats at most 258 bytes by two bits."""


class PngHeader(NamedTuple):
    """What precedes the pixels.

    Attributes:
        size: (height, width) as stored.
        depth: Bits of a value.
        color_type: PNG's colour type.
        interlaced: Whether the rows are stored in seven passes.
        frames: Number of frames.
        colors: The chunks of the palette and of transparency, as they are stored.
    """

    size: tuple[int, int]
    depth: int
    color_type: int
    interlaced: bool
    frames: int
    colors: bytes

    @property
    def bits(self) -> int:
        """Bits of a pixel."""
        return self.depth * _CHANNELS[self.color_type]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of pixels."""
        return self.bytes_of(self.size[1])

    def bytes_of(self, pixels: int) -> int:
        """Bytes of a row of so many pixels."""
        return -(-pixels * self.bits // 8)


def read_header(stream: BinaryIO) -> PngHeader:
    """Read what precedes the pixels of a PNG file, up to the content of its first chunk of pixels.

    All of it is compared with its checksums, as Pillow does, with Pillow's words about one that differs.

    Args:
        stream: The file at its beginning; left at the length of the first chunk of pixels.

    Raises:
        ValueError: It is no PNG file, or a damaged one.
    """
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("it does not begin like a PNG file")
    found: PngHeader | None = None
    colors, frames, in_front = b"", 0, 1
    while True:
        length, kind = _chunk_at(stream)
        if kind == b"IDAT":
            break
        content = _content(stream, kind, length) if kind in (b"IHDR", b"acTL", *_COLORS) else b""
        if kind == b"IHDR":
            found = _header(content)
        elif kind in _COLORS:
            colors += _chunk(kind, content)
        elif kind == b"acTL":
            frames = int.from_bytes(content[:4], "big")
        else:
            # An image without a description of its frame is none of the animation, which follows it.
            in_front = 0 if kind == b"fcTL" else in_front
            _skip(stream, kind, length)
    stream.seek(-_CHUNK.size, 1)
    if found is None:
        raise ValueError("its header is missing")
    return found._replace(colors=colors, frames=frames + in_front if frames else 1)


def require_pixel_data(stream: BinaryIO, header: PngHeader) -> None:
    """Refuse a file whose compressed data is too short for the pixels that its header claims; nothing is decompressed.

    Args:
        stream: The file, as `read_header` leaves it, and left like that.
        header: Its header.

    Raises:
        ValueError: No data of this length decompresses to so many pixels.
    """
    start, stored = stream.tell(), 0
    end = stream.seek(0, io.SEEK_END)
    position = stream.seek(start)
    while len(head := stream.read(_CHUNK.size)) == _CHUNK.size and head[4:] == b"IDAT":
        length = int.from_bytes(head[:4], "big")
        stored += min(length, end - position - _CHUNK.size)
        position = stream.seek(position + _CHUNK.size + length + 4)
    stream.seek(start)
    height, width = header.size
    if (least := -(-height * width * header.bits // 8)) > _MOST_INFLATED * stored:
        raise ValueError(
            f"its {stored} bytes of compressed pixels are too few for {width}x{height} pixels ({least} bytes)"
        )


def small_files(stream: BinaryIO, header: PngHeader, rows: int) -> Iterator[bytes]:
    """The pixels of a PNG file as PNG files of at most some rows, from top to bottom.

    Args:
        stream: The file, as `read_header` leaves it.
        header: Its header, of a file that is not interlaced.
        rows: Largest number of rows of a small file.

    Raises:
        ValueError: The file is truncated or damaged.
        zlib.error: Its compressed data is damaged.
    """
    for restored in stored_rows(stream, header, [header.size], rows):
        yield small_file(header, restored)


def stored_rows(stream: BinaryIO, header: PngHeader, sizes: Sequence[Size], rows: int) -> Iterator[np.ndarray]:
    """The rows of images that are stored one after the other in the pixels of a PNG file.

    Args:
        stream: The file, as `read_header` leaves it.
        header: Its header.
        sizes: (height, width) of each image.
        rows: Largest number of rows at a time.

    Yields:
        uint8 (n, B): n rows of one image as bytes of packed pixels, not as differences.

    Raises:
        ValueError: The file is truncated or damaged.
        zlib.error: Its compressed data is damaged.
    """
    source = _Inflated(stream)
    for number, (height, width) in enumerate(sizes):
        length = header.bytes_of(width)
        above = np.zeros(length, np.uint8)
        for top in range(0, height, rows):
            count = min(rows, height - top)
            stored = np.frombuffer(source.read(count * (length + 1)), np.uint8).reshape(count, length + 1)
            restored = _restored(stored, above, max(1, header.bits // 8))
            above = restored[-1].copy()
            if number == len(sizes) - 1 and top + count == height:
                source.finish()
            yield restored


def small_file(header: PngHeader, rows: np.ndarray) -> bytes:
    """A PNG file of some rows of another, given as bytes of packed pixels uint8 (n, B), not as differences."""
    plain = np.zeros((len(rows), rows.shape[1] + 1), np.uint8)
    plain[:, 1:] = rows
    return _file(len(rows), header.size[1], (header.depth, header.color_type), plain, header.colors)


class _Inflated:
    """The decompressed content of consecutive chunks of pixels."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._decoder = stream, zlib.decompressobj()
        self._left, self._waiting = 0, b""
        self._ended, self._checksum = False, 0

    def read(self, size: int) -> bytearray:
        """Exactly so many bytes."""
        found = bytearray()
        while len(found) < size:
            if not self._waiting and not self._decoder.eof:
                self._waiting = self._compressed()
            piece = self._decoder.decompress(self._waiting, size - len(found))
            if not piece and (self._decoder.eof or (self._ended and not self._decoder.unconsumed_tail)):
                raise ValueError("its pixels end too early")
            self._waiting = self._decoder.unconsumed_tail
            found += piece
        return found

    def finish(self) -> None:
        """Read to the end of the compressed data, whose checksum is compared.

        Raises:
            ValueError: The checksum is missing.
            zlib.error: The checksum is another.
        """
        while not self._decoder.eof and (piece := self._waiting or self._compressed()):
            if self._decoder.decompress(piece, 1):
                return  # more rows than the header says, which are none of the image
            self._waiting = self._decoder.unconsumed_tail
        if not self._decoder.eof:
            raise ValueError("its pixels have no checksum")

    def _compressed(self) -> bytes:
        """The next bytes of the chunks; empty at their end."""
        while not self._left:
            head = self._stream.read(_CHUNK.size)
            if len(head) < _CHUNK.size or head[4:] != b"IDAT":
                self._ended = True
                return b""
            self._left, self._checksum = int.from_bytes(head[:4], "big"), zlib.crc32(b"IDAT")
            if not self._left:
                self._compare()
        piece = self._stream.read(min(_PIECE, self._left))
        if not piece:
            self._ended = True
            return b""
        self._left -= len(piece)
        self._checksum = zlib.crc32(piece, self._checksum)
        if not self._left:
            self._compare()
        return piece

    def _compare(self) -> None:
        """Read the checksum of a chunk at its end, and compare it."""
        _require_checksum(self._stream, b"IDAT", self._checksum)


def _restored(stored: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Rows of bytes uint8 (n, B) from how they are stored, (n, 1 + B) with the kind of difference before each row.

    A decoder restores them as if they were the rows of an image of whole bytes, below the row `above` (B,).
    """
    number, length = len(stored), stored.shape[1] - 1
    if stored[:, 0].max() >= _KINDS:
        raise ValueError("a row is stored in an unknown way")
    if not stored[:, 0].any():
        return stored[:, 1:]
    depth, color_type = _AS_BYTES[step]
    rows = np.zeros((number + 1, length + 1), np.uint8)
    rows[0, 1:], rows[1:] = above, stored
    values = imagecodecs.png_decode(_file(number + 1, length // step, (depth, color_type), rows, b""))
    if depth == 16:
        values = values.astype(">u2").view(np.uint8)
    return values.reshape(number + 1, length)[1:]


def _file(height: int, width: int, kind: tuple[int, int], rows: np.ndarray, colors: bytes) -> bytes:
    """A PNG file of rows as they are stored, which are not compressed."""
    header = _HEADER.pack(width, height, *kind, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(rows.tobytes(), 0))
    return b"".join((SIGNATURE, _chunk(b"IHDR", header), colors, pixels, _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((_CHUNK.pack(len(content), kind), content, checksum.to_bytes(4, "big")))


def _chunk_at(stream: BinaryIO) -> tuple[int, bytes]:
    head = stream.read(_CHUNK.size)
    if len(head) < _CHUNK.size:
        raise ValueError("it ends before its pixels")
    length, kind = _CHUNK.unpack(head)
    if not _NAME.fullmatch(kind):
        raise ValueError(f"broken PNG file (chunk {kind!r})")
    return length, kind


def _content(stream: BinaryIO, kind: bytes, length: int) -> bytes:
    """The content of a chunk, which is compared with its checksum."""
    if length > _LARGEST_CHUNK:
        raise ValueError(f"a chunk of its header claims {length} bytes")
    content = stream.read(length)
    _require_checksum(stream, kind, zlib.crc32(content, zlib.crc32(kind)))
    return content


def _skip(stream: BinaryIO, kind: bytes, length: int) -> None:
    """Read a chunk whose content is not needed, and compare it with its checksum."""
    checksum = zlib.crc32(kind)
    while length and (piece := stream.read(min(_PIECE, length))):
        checksum, length = zlib.crc32(piece, checksum), length - len(piece)
    _require_checksum(stream, kind, checksum)


def _require_checksum(stream: BinaryIO, kind: bytes, checksum: int) -> None:
    """Refuse a chunk that was read to the end of its content if another checksum follows."""
    if int.from_bytes(stated := stream.read(4), "big") != checksum or len(stated) < 4:
        raise ValueError(f"broken PNG file (bad header checksum in {kind!r})")


def _header(content: bytes) -> PngHeader:
    if len(content) != _HEADER.size:
        raise ValueError("its header has another length")
    width, height, depth, color_type, compression, filtering, interlace = _HEADER.unpack(content)
    if depth not in _DEPTHS.get(color_type, ()) or compression or filtering or interlace > 1:
        raise ValueError("its header describes no pixels")
    return PngHeader((height, width), depth, color_type, bool(interlace), 1, b"")
