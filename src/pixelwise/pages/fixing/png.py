"""PNG files whose pixels are replaced: bit depth, palette, transparency and texts stay as they are."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_LEVEL = 6
GREY, RGB, PALETTE = 0, 2, 3
"""Colour types of PNG that masks have."""


class NotPlain(ValueError):
    """A file whose pixels cannot be replaced; the text is a clause that says why, with the file as its subject."""


class Coding(NamedTuple):
    """How a PNG file stores its pixels, and everything that it holds beside them.

    Attributes:
        kind: Colour type: `GREY`, `RGB` or `PALETTE`.
        depth: Bits per value: 1, 2, 4, 8 or 16.
        before: Chunks between header and pixels, as (type, content).
        after: Chunks between pixels and end.
    """

    kind: int
    depth: int
    before: tuple[tuple[bytes, bytes], ...] = ()
    after: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def palette(self) -> np.ndarray:
        """Colours of a palette file, uint8 (n, 3); empty for others."""
        found = next((content for kind, content in self.before if kind == b"PLTE"), b"")
        return np.frombuffer(found, np.uint8).reshape(-1, 3)

    def with_palette(self, colors: np.ndarray) -> Coding:
        """The same coding with other colours, uint8 (n, 3)."""
        return self._replace(
            before=tuple((kind, colors.tobytes() if kind == b"PLTE" else content) for kind, content in self.before)
        )

    def opaque(self) -> Coding:
        """The same coding without transparent colours."""
        return self._replace(before=tuple(one for one in self.before if one[0] != b"tRNS"))


def coding_of(content: bytes) -> Coding:
    """How a file stores its pixels.

    Args:
        content: An intact PNG file.

    Raises:
        NotPlain: It is no PNG file, or has an alpha channel, colours of more than 8 bits, or several frames.
    """
    if not content.startswith(_SIGNATURE):
        raise NotPlain("is no PNG file")
    chunks, position = [], len(_SIGNATURE)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        chunks.append((kind, content[position + 8 : position + 8 + length]))
        position += 12 + length
    names = [kind for kind, _ in chunks]
    if names[:1] != [b"IHDR"] or b"IDAT" not in names or len(chunks[0][1]) != _HEADER.size:
        raise NotPlain("is a damaged PNG file")
    _, _, depth, kind, *_ = _HEADER.unpack(chunks[0][1])
    if b"acTL" in names:
        raise NotPlain("has several frames")
    if kind not in (GREY, RGB, PALETTE):
        raise NotPlain("has an alpha channel")
    if kind == RGB and depth != 8:
        raise NotPlain("has colours of more than 8 bits")
    first = names.index(b"IDAT")
    return Coding(
        kind,
        depth,
        tuple(chunks[1:first]),
        tuple(one for one in chunks[first:] if one[0] not in (b"IDAT", b"IEND")),
    )


def encoded(coding: Coding, values: np.ndarray) -> bytes:
    """A PNG file of values.

    Args:
        coding: How they are stored.
        values: Stored values (H, W) below 2 to the power of `depth`; colours as `0xrrggbb`.
    """
    height, width = values.shape
    packed = _packed(coding, values)
    filtered = np.empty((height, packed.shape[1] + 1), np.uint8)
    # Each row as its difference from the one above: masks are nearly the same from row to row.
    filtered[:, 0] = 2
    filtered[0, 1:] = packed[0]
    np.subtract(packed[1:], packed[:-1], out=filtered[1:, 1:])
    header = _HEADER.pack(width, height, coding.depth, coding.kind, 0, 0, 0)
    pixels = zlib.compress(filtered.tobytes(), _LEVEL)
    every = [(b"IHDR", header), *coding.before, (b"IDAT", pixels), *coding.after, (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in every)


def _packed(coding: Coding, values: np.ndarray) -> np.ndarray:
    """The bytes of every row, uint8 (H, bytes)."""
    height, width = values.shape
    if coding.kind == RGB:
        return np.stack([values >> 16, values >> 8 & 255, values & 255], -1).astype(np.uint8).reshape(height, -1)
    if coding.depth == 16:
        return np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(height, -1)
    flat = values.astype(np.uint8)
    if coding.depth == 8:
        return flat
    if coding.depth == 1:
        return np.packbits(flat, axis=1)
    each = 8 // coding.depth
    padded = np.zeros((height, -(-width // each) * each), np.uint8)
    padded[:, :width] = flat
    packed = np.zeros((height, padded.shape[1] // each), np.uint8)
    for place in range(each):
        packed |= padded[:, place::each] << (8 - coding.depth * (place + 1))
    return packed


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
