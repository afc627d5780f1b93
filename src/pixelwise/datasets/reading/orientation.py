"""The orientation of an image: all places where a file can state it, and how an array is turned upright.

A file states it in its EXIF block (JPEG, PNG, WebP), in PNG texts that ImageMagick writes, in TIFF's tag 274, or in
XMP. EXIF wins over XMP, because cameras write the former and editors keep it up to date. What is damaged or outside
1..8 is no statement, and without a statement the image is upright.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")
_SWAPS_AXES = (5, 6, 7, 8)
_EXIF_TEXTS = ("Raw profile type exif", "Raw profile type APP1")
_XMP_TEXTS = ("XML:com.adobe.xmp", "Raw profile type xmp")
PNG_TEXTS = (*_EXIF_TEXTS, *_XMP_TEXTS)
"""Keywords of PNG text chunks that can state an orientation."""
_EXIF_FLAG, _XMP_FLAG = 8, 4
_LONGEST_TEXT = 1 << 24


def stated_orientation(image: Image.Image) -> int:
    """The orientation that an opened Pillow image states: 1 (upright) to 8.

    A TIFF file is to be asked before its pixels are loaded, which turns them and drops the statement; others
    afterwards, because PNG files may state it behind the pixels.
    """
    if isinstance(image, TiffImageFile):
        return of_tiff_tags(image.tag_v2.get(ExifTags.Base.Orientation), image.tag_v2.get(700))
    # Once parsed, the EXIF data of the image replaces the block of the file: a program may have changed it.
    parsed = getattr(image, "_exif", None)
    return _of_blocks(image.info.get("exif") if parsed is None else parsed, image.info)


def of_tiff_tags(orientation: object, xmp: object) -> int:
    """The orientation by the values of TIFF's tags 274 (Orientation) and 700 (XMP), None where a tag is missing."""
    return _valid(orientation) or _of_xmp(xmp) or 1


def webp_orientation(stream: BinaryIO) -> int:
    """The orientation of a WebP file, from its chunks alone: Pillow would allocate the canvas.

    Metadata counts only if the header announces it, as in Google's decoder.
    """
    chunks = dict(reversed(list(_riff_chunks(stream))))  # of several equal ones the first counts
    header = chunks.get(b"VP8X", b"")
    flags = header[0] if header else 0
    exif = _of_exif(chunks.get(b"EXIF")) if flags & _EXIF_FLAG else None
    xmp = _of_xmp(chunks.get(b"XMP ")) if flags & _XMP_FLAG else None
    return exif or xmp or 1


def png_orientation(stream: BinaryIO) -> int:
    """The orientation of a PNG file, from its chunks alone, which may follow the pixels."""
    info: dict[str, object] = {}
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            stream.seek(length + 4, 1)
            continue
        content = stream.read(length)
        stream.seek(4, 1)
        if kind == b"eXIf":
            info["exif"] = content
        elif (keyword := content.split(b"\0", 1)[0].decode("latin-1")) in PNG_TEXTS:
            info[keyword] = _png_text(kind, content[len(keyword) + 1 :])
    return _of_blocks(info.get("exif"), info)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) of a stored image after its orientation is applied."""
    height, width = size
    return (width, height) if orientation in _SWAPS_AXES else size


def turned_upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """The stored pixels (H, W) or (H, W, C) as they are meant to be seen; a copy unless they are upright already."""
    if orientation == 1:
        return values
    if orientation in _SWAPS_AXES:
        values = values.swapaxes(0, 1)
    # After the swap: 5 nothing more, 6 columns, 7 both, 8 rows.
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def turned_back(values: np.ndarray, orientation: int) -> np.ndarray:
    """The stored pixels of an upright image: the inverse of `turned_upright`."""
    return turned_upright(values, {6: 8, 8: 6}.get(orientation, orientation))


def _of_blocks(exif: object, info: Mapping[Any, object]) -> int:
    """The orientation by an EXIF block and the texts of a file, named as in Pillow's `info`."""
    blocks = (exif, *(_raw_profile(info.get(name)) for name in _EXIF_TEXTS))
    texts = (info.get("XML:com.adobe.xmp"), info.get("xmp"), _raw_profile(info.get("Raw profile type xmp")))
    statements = (*map(_of_exif, blocks), *map(_of_xmp, texts))
    return next((stated for stated in statements if stated is not None), 1)


def _png_text(kind: bytes, content: bytes) -> str:
    """The text behind the keyword of a PNG text chunk; empty if it is damaged."""
    compressed = kind == b"zTXt"
    if kind == b"iTXt":
        compressed = content[:1] == b"\1"
        content = content[2:].split(b"\0", 2)[-1]
    elif compressed:
        content = content[1:]
    with contextlib.suppress(zlib.error):
        whole = zlib.decompressobj().decompress(content, _LONGEST_TEXT) if compressed else content
        return whole.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")
    return ""


def _valid(value: object) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def _of_exif(block: object) -> int | None:
    """The orientation in an EXIF block; None if it states none or is damaged."""
    if isinstance(block, Image.Exif):
        return _valid(block.get(ExifTags.Base.Orientation))
    if not isinstance(block, bytes) or not block:
        return None
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # damaged blocks raise exceptions of many types
        exif.load(block)
        return _valid(exif.get(ExifTags.Base.Orientation))
    return None


def _raw_profile(text: object) -> bytes | None:
    """The block in a PNG text of ImageMagick: a line with the name, one with the length, hexadecimal digits."""
    if not isinstance(text, str):
        return None
    with contextlib.suppress(ValueError):
        return bytes.fromhex("".join(text.split("\n")[3:]))
    return None


def _of_xmp(text: object) -> int | None:
    if isinstance(text, tuple) and text and all(isinstance(part, int) for part in text):
        text = bytes(part & 255 for part in text)
    if isinstance(text, str):
        text = text.encode("utf-8", "replace")
    if not isinstance(text, bytes):
        return None
    found = _XMP.search(text)
    return int(found.group(1)) if found else None


def _riff_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Chunks of a RIFF file with their content; that of pixels is skipped."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"VP8X", b"EXIF", b"XMP "):
            content = stream.read(length)
            yield kind, content
            stream.seek(length % 2, 1)
        else:
            stream.seek(length + length % 2, 1)
