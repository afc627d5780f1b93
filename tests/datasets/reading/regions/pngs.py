"""PNG files that are written by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def interlaced(height: int, width: int, depth: int, color: int, seed: int = 0, kinds: int = 5) -> bytes:
    """An interlaced file of noise. Its rows are bytes at random, stored as any of the first kinds of differences."""
    random = np.random.default_rng(seed)
    stored = b""
    # The first row and column of each pass, and the steps between its rows and columns, as the standard draws them.
    for top, left, down, across in zip(
        (0, 0, 4, 0, 2, 0, 1), (0, 4, 0, 2, 0, 1, 0), (8, 8, 8, 4, 4, 2, 2), (8, 8, 4, 4, 2, 2, 1), strict=True
    ):
        rows, columns = len(range(top, height, down)), len(range(left, width, across))
        length = (columns * depth * CHANNELS[color] + 7) // 8
        if rows and columns:
            stored += b"".join(bytes([random.integers(0, kinds)]) + random.bytes(length) for _ in range(rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 1))
    palette = chunk(b"PLTE", bytes(range(48)) * 16) if color == 3 else b""
    return SIGNATURE + head + palette + chunk(b"IDAT", zlib.compress(stored)) + chunk(b"IEND", b"")


def in_rows(height: int, width: int, depth: int, color: int, key: bytes = b"") -> bytes:
    """A file of noise that is not interlaced, with a chunk about transparency if it has content."""
    random = np.random.default_rng(depth + color)
    length = (width * depth * CHANNELS[color] + 7) // 8
    stored = b"".join(bytes([random.integers(0, 5)]) + random.bytes(length) for _ in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(range(48)) * 16) if color == 3 else b""
    hidden = chunk(b"tRNS", key) if key else b""
    return SIGNATURE + head + palette + hidden + chunk(b"IDAT", zlib.compress(stored)) + chunk(b"IEND", b"")


def chunks(content: bytes) -> list[tuple[bytes, int, int]]:
    """Name, position of the content and length of every chunk."""
    position, found = len(SIGNATURE), []
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        found.append((kind, position + 8, length))
        position += 12 + length
    return found


def flipped(content: bytes, position: int) -> bytes:
    """A file in which one bit is another."""
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
