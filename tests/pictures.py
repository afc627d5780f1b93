"""Image files for tests."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    """Write an array to an image file; returns the file."""
    Image.fromarray(array).save(path, **options)
    return path


def with_orientation(path: Path, stored: np.ndarray, orientation: int) -> Path:
    """Write an array to an image file whose EXIF data says how it is turned; returns the file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(path, exif=exif)
    return path


def png(
    values: np.ndarray,
    *,
    kind: int,
    bits: int = 8,
    before: tuple[tuple[bytes, bytes], ...] = (),
    behind: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """A PNG file, written by hand.

    Args:
        values: (H, W) or (H, W, C) samples.
        kind: Colour type of the format: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
        bits: Bits per sample.
        before: Further chunks before the pixels, such as a palette.
        behind: Further chunks behind the pixels.
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    samples = values.reshape(height, -1)
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        digits = ["".join(f"{int(value):0{bits}b}" for value in row) for row in samples]
        rows = [bytes(int(text[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(text), 8)) for text in digits]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), *behind, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def exif_block(orientation: int) -> bytes:
    """An EXIF block, without a container's prefix, that states an orientation."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 274, 3, 1, orientation, 0) + b"\0\0\0\0"


def xmp_packet(orientation: int, *, as_element: bool = False) -> bytes:
    """An XMP packet that states an orientation, as an attribute or an element."""
    tag = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if as_element else ""
    attribute = "" if as_element else f' tiff:Orientation="{orientation}"'
    return f'<x:xmpmeta><rdf:Description xmlns:tiff="x"{attribute}>{tag}</rdf:Description></x:xmpmeta>'.encode()


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera that is held that way stores an upright scene; written out, not computed."""
    swapped = upright.swapaxes(0, 1)
    return np.ascontiguousarray(
        {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: swapped,
            6: swapped[::-1],
            7: swapped[::-1, ::-1],
            8: swapped[:, ::-1],
        }[orientation]
    )
