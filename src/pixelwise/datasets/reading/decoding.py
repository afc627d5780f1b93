"""Safe decoding of image files with Pillow.

A file is opened only if it is a regular file, identified by its first bytes instead of its name, and refused by its
pixel count before anything is decoded. Pillow decodes it: other decoders accept truncated JPEGs or crash on damaged
PNGs. (`plain_png` has a fast path for intact PNGs.)
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pixelwise.datasets.reading.limits import WithinFile, no_room, require_pixels, require_room
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable
from pixelwise.storage.documents import kind_of_entry

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".npy": "NPY",
}
"""File extensions (lower case) that are taken for images -> the format that each one stands for."""

_Opener = Callable[[BinaryIO], ImageFile.ImageFile]
# Files are opened by class instead of Image.open, which applies its own process-wide pixel limit and prints a warning
# where ours is higher.
_FORMATS: tuple[tuple[str, tuple[bytes, ...], _Opener], ...] = (
    ("JPEG", (b"\xff\xd8\xff",), JpegImageFile),
    ("PNG", (b"\x89PNG\r\n\x1a\n",), PngImageFile),
    ("WEBP", (b"RIFF",), WebPImageFile),
    ("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
    ("GIF", (b"GIF87a", b"GIF89a"), GifImageFile),
    ("BMP", (b"BM",), BmpImageFile),
)
_FOREIGN = (
    (b"version https://git-lfs", "it is a Git LFS pointer: run `git lfs pull`"),
    (b"<", "it is a web page or other text with an image's file name: download the file again"),
    (b"%PDF", "it is a PDF: export the page as PNG"),
    (b"8BPS", "it is a Photoshop file: export it as PNG"),
    (b"\x93NUMPY", "it is a NumPy array: rename it to .npy and set data.channels, which selects its channels"),
    (b"\0\0\0\x0cjP  ", "it is JPEG 2000: convert it to PNG or JPEG"),
)
_limit_lock = threading.Lock()


class Decoded(NamedTuple):
    """A decoded file.

    Attributes:
        image: The first frame, loaded, in the stored orientation.
        format: `JPEG`, `PNG`, `WEBP`, `TIFF`, `BMP` or `GIF`, by content.
        raw_mode: Pillow's name for the stored pixel layout, such as `RGB;16B` or `L;4`.
        animated: Whether the file holds further frames.
        lossless: Whether the format keeps every pixel exactly.
    """

    image: Image.Image
    format: str
    raw_mode: str
    animated: bool
    lossless: bool


def decode(path: Path, *, max_pixels: int) -> Decoded:
    """Decode the first frame of an image file.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP or GIF file, whatever its name says.
        max_pixels: Files with more pixels are refused before they are decoded.

    Raises:
        DataError: D101 truncated or damaged, D102 not an image, D105 bands that are not an RGB image, D120 too many
            pixels, D151 no memory for them, D131 unreadable or not a regular file.
    """
    where = printable(path)
    with open_regular(path) as stream:
        head = stream.read(64)
        size = os.fstat(stream.fileno()).st_size
        kind, opener = _identify(where, head, size)
        _check_size(where, _webp_size(head) if kind == "WEBP" else None, max_pixels)
        try:
            animated = kind in ("GIF", "TIFF") and _has_second_frame(stream, opener, max_pixels)
            stream.seek(0)
            with _without_pillow_limit(_webp_size(head) if kind == "WEBP" else None):
                image = opener(stream)
            _check_size(where, image.size, max_pixels)
            require_pixels(path, image.size[::-1])
            # Pillow's pixels have up to four bytes.
            require_room(path, 4 * image.width * image.height)
            raw_mode = _raw_mode(image)
            animated = animated or bool(getattr(image, "is_animated", False))
            with _without_pillow_limit(image.size):
                image.load()
        except DataError:
            raise
        except MemoryError as error:
            raise no_room(path) from error
        # Decoders raise nearly anything on damaged input: OSError, SyntaxError, ValueError,
        # struct.error, IndexError, zlib.error. All of it means the same to the user.
        except Exception as error:
            bands = _bands_error(path) if kind == "TIFF" else None
            if bands is not None:
                raise bands from error
            raise DataError(
                "D101",
                f"{where}: truncated or damaged {kind} file ({size} bytes): {error}",
                "copy or export the file again, or remove it together with its mask",
            ) from error
    lossless = kind in ("PNG", "TIFF", "BMP", "GIF") or (kind == "WEBP" and head[12:16] != b"VP8 ")
    return Decoded(image, kind, raw_mode, animated, lossless)


def _bands_error(path: Path) -> DataError | None:
    """D105 for a TIFF file that Pillow cannot read because of its bands, else None."""
    # Imported here: needed only when something is wrong.
    from pixelwise.datasets.reading.bands import bands_error

    return bands_error(path)


def image_sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of an image file as stored, and after its EXIF orientation is applied. Decodes no pixels.

    Raises:
        DataError: D101 damaged, D102 not an image, D131 unreadable.
    """
    where = printable(path)
    with open_regular(path) as stream:
        head = stream.read(64)
        size = os.fstat(stream.fileno()).st_size
        kind, opener = _identify(where, head, size)
        try:
            # Pillow allocates a WebP's canvas as it opens the file.
            width, height = (_webp_size(head) if kind == "WEBP" else None) or (0, 0)
            orientation: object = 1
            if not width:
                stream.seek(0)
                image = opener(stream)
                (width, height), orientation = image.size, _orientation_tag(image)
        except Exception as error:
            raise DataError(
                "D101", f"{where}: truncated or damaged {kind} file ({size} bytes): {error}", "copy the file again"
            ) from error
    stored = (height, width)
    return stored, (width, height) if orientation in (5, 6, 7, 8) else stored


def _orientation_tag(image: ImageFile.ImageFile) -> object:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1  # with a damaged EXIF block, the image is taken as stored


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; opening a FIFO would block forever."""
    try:
        with reads(path):
            refuse_irregular(path)
            with WithinFile(open(path, "rb")) as stream:
                yield stream
    except OSError as error:
        raise unreadable(path, error) from error


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
    """D131: the entry exists in a listing but cannot be opened."""
    return DataError(
        "D131",
        f"{printable(path)}: cannot be read: {error.strerror or error}",
        "repair the link or the permissions, or remove the entry",
    )


def _identify(where: str, head: bytes, size: int) -> tuple[str, _Opener]:
    for kind, signatures, opener in _FORMATS:
        if head.startswith(signatures) and (kind != "WEBP" or head[8:12] == b"WEBP"):
            return kind, opener
    if size == 0:
        raise DataError(
            "D102", f"{where}: not an image: the file is empty (0 bytes)", "copy the file again or remove it"
        )
    start = printable(head[:16].decode("latin-1"))
    hint = "convert it to PNG or JPEG, or remove it"
    if head[4:8] == b"ftyp":
        hint = "it is a HEIC or AVIF photo: convert it to PNG or JPEG"
    for signature, text in _FOREIGN:
        if head.lstrip().startswith(signature):
            hint = text
    raise DataError("D102", f"{where}: not an image: the file starts with `{start}` ({size} bytes)", hint)


def _check_size(where: str, size: tuple[int, int] | None, max_pixels: int) -> None:
    if size is not None and size[0] * size[1] > max_pixels:
        width, height = size
        raise DataError(
            "D120",
            f"{where}: {height}x{width} (HxW) is {width * height / 1e6:.1f} million pixels; "
            f"data.max_pixels allows {max_pixels / 1e6:.1f} million",
            f"if the image is meant to be this large, set data.max_pixels={width * height}",
        )


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) from a WebP header: Pillow allocates the canvas as soon as it opens the file."""
    chunk = head[12:16]
    if chunk == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L" and len(head) >= 25:
        bits = struct.unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


@contextlib.contextmanager
def _without_pillow_limit(size: tuple[int, int] | None) -> Iterator[None]:
    """Lift Pillow's own pixel limit for an image within `data.max_pixels`.

    The limit is a module variable, so it is changed only for images beyond it (above 89 million pixels), one at a time,
    and restored afterwards.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if size is None or limit is None or size[0] * size[1] <= limit:
        yield
        return
    with _limit_lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _raw_mode(image: ImageFile.ImageFile) -> str:
    if not image.tile:
        return image.mode
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else image.mode


def _has_second_frame(stream: BinaryIO, opener: _Opener, max_pixels: int) -> bool:
    """Whether a GIF or TIFF has more than one frame; False if the data after the first frame is damaged.

    Opens the image separately: seeking back and forth would disturb the one that is decoded.
    """
    stream.seek(0)
    try:
        image = opener(stream)
        if image.size[0] * image.size[1] > max_pixels:
            return False
        image.seek(1)
    except Exception:
        return False
    return True
