"""Safe decoding of image files with Pillow.

A file is opened only if it is a regular file, identified by its first bytes instead of its name, and refused by its
pixel count before anything is decoded. Pillow decodes it: other decoders accept truncated JPEGs or crash on damaged
PNGs. (`plain_png` has a fast path for intact PNGs.)
"""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pixelwise.datasets.reading.bmp import BitmapFile
from pixelwise.datasets.reading.files import length_of, open_regular
from pixelwise.datasets.reading.foreign import HEAD, foreign
from pixelwise.datasets.reading.limits import no_room, require_pixels, require_room
from pixelwise.datasets.reading.orientation import png_orientation, stated_orientation, upright_size, webp_orientation
from pixelwise.errors import DataError
from pixelwise.storage import printable

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".jif": "JPEG",
    ".pjpeg": "JPEG",
    ".pjp": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".tf8": "TIFF",
    ".btf": "TIFF",
    ".svs": "TIFF",
    ".bmp": "BMP",
    ".dib": "BMP",
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
    ("BMP", (b"BM",), BitmapFile),
)
GREY_BITS = {"L;2": 2, "L;4": 4}
"""Stored pixel layouts whose grey values Pillow stretches to 0..255 -> their number of bits."""
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image that Pillow has turned upright is turned back to the stored orientation."""
_limit_lock = threading.Lock()


class Decoded(NamedTuple):
    """A decoded file.

    Attributes:
        image: The first frame, loaded, in the stored orientation.
        format: `JPEG`, `PNG`, `WEBP`, `TIFF`, `BMP` or `GIF`, by content.
        raw_mode: Pillow's name for the stored pixel layout, such as `RGB;16B` or `L;4`.
        orientation: Orientation that the file states, 1 (upright) to 8.
        animated: Whether the file holds further frames.
        lossless: Whether the format keeps every pixel exactly.
    """

    image: Image.Image
    format: str
    raw_mode: str
    orientation: int
    animated: bool
    lossless: bool


def decode(path: Path, *, max_pixels: int) -> Decoded:
    """Decode the first frame of an image file.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP or GIF file, whatever its name says.
        max_pixels: Files with more pixels are refused before they are decoded.

    Raises:
        DataError: D101 truncated or damaged, D102 not an image, D120 too many pixels, D131 unreadable or not a regular
            file, D151 no memory for the pixels.
    """
    where = printable(path)
    with open_regular(path) as stream:
        head = stream.read(HEAD)
        size = length_of(stream)
        kind, opener = _identify(where, head, size)
        _check_size(where, _webp_size(head) if kind == "WEBP" else None, max_pixels)
        try:
            animated = kind in ("GIF", "TIFF") and _has_second_frame(stream, opener, max_pixels)
            stream.seek(0)
            with _without_pillow_limit(_webp_size(head) if kind == "WEBP" else None):
                image = opener(stream)
            _check_size(where, image.size, max_pixels)
            require_pixels(path, image.size[::-1])
            raw_mode, before_loading = raw_mode_of(image), stated_orientation(image)
            # Pillow's pixels have up to four bytes; exact colours of 16 bits have eight.
            require_room(path, (8 if "16" in raw_mode else 4) * image.width * image.height)
            turned = _turned_by_pillow(image) if kind == "TIFF" else 1
            animated = animated or bool(getattr(image, "is_animated", False))
            with _without_pillow_limit(image.size):
                image.load()
            if image.mode in ("P", "PA") and image.palette is None:
                raise ValueError("its palette is missing")
        except DataError:
            raise
        except MemoryError as error:
            raise no_room(path) from error
        # Decoders raise nearly anything on damaged input: OSError, SyntaxError, ValueError,
        # struct.error, IndexError, zlib.error. All of it means the same to the user.
        except Exception as error:
            raise DataError(
                "D101",
                f"{where}: truncated or damaged {kind} file ({size} bytes): {error}",
                "copy or export the file again, or remove it together with its mask",
            ) from error
        lossless = (
            kind in ("PNG", "BMP", "GIF")
            or (kind == "WEBP" and _is_lossless_webp(stream))
            or (kind == "TIFF" and "jpeg" not in str(image.info.get("compression")))
        )
    orientation = before_loading if kind == "TIFF" else stated_orientation(image)
    stored = image.transpose(_BACK[turned]) if turned in _BACK else with_stretched_key(image, raw_mode)
    return Decoded(stored, kind, raw_mode, orientation, animated, lossless)


def frames_differ(path: Path) -> bool:
    """Whether a later frame of an image that `decode` accepts looks different from the first.

    Raises:
        DataError: D101 a later frame is damaged, D131 unreadable, D151 no memory for the frames.
    """
    with open_regular(path) as stream:
        kind, opener = _identify(printable(path), stream.read(HEAD), 1)
        stream.seek(0)
        try:
            return _later_frame_differs(stream, opener)
        except EOFError:
            return False
        except MemoryError as error:
            raise no_room(path) from error
        except Exception as error:  # as for the first frame
            raise DataError(
                "D101",
                f"{printable(path)}: a {kind} file whose further frames are damaged: {error}",
                "export it again as a single image",
            ) from error


def _later_frame_differs(stream: BinaryIO, opener: _Opener) -> bool:
    with _without_pillow_limit((1 << 16, 1 << 16)):
        image = opener(stream)
        first = np.asarray(image.convert("RGBA"))
        for number in range(1, getattr(image, "n_frames", 1)):
            image.seek(number)
            if image.size != first.shape[1::-1] or not np.array_equal(np.asarray(image.convert("RGBA")), first):
                return True
    return False


def image_sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of an image file as stored, and after its orientation is applied. Decodes no pixels.

    Raises:
        DataError: D101 damaged, D102 not an image, D105 an array that is not an image, D131 unreadable.
    """
    if path.suffix.lower() == ".npy":
        # Imported here: only such files need it.
        from pixelwise.datasets.reading.bands import array_size

        size_of_array = array_size(path)
        return size_of_array, size_of_array
    where = printable(path)
    with open_regular(path) as stream:
        head = stream.read(HEAD)
        size = length_of(stream)
        kind, opener = _identify(where, head, size)
        if kind == "TIFF":
            # Imported here: only such files need it.
            from pixelwise.datasets.reading.tiff import tiff_layout

            stored, orientation = tiff_layout(path)
            return stored, upright_size(stored, orientation)
        try:
            # Pillow allocates a WebP's canvas as it opens the file.
            width, height = (_webp_size(head) if kind == "WEBP" else None) or (0, 0)
            if width:
                orientation = webp_orientation(stream)
            else:
                stream.seek(0)
                image = opener(stream)
                width, height = image.size
                orientation = png_orientation(stream) if kind == "PNG" else stated_orientation(image)
        except Exception as error:
            raise DataError(
                "D101", f"{where}: truncated or damaged {kind} file ({size} bytes): {error}", "copy the file again"
            ) from error
    stored = (height, width)
    return stored, upright_size(stored, orientation)


def _turned_by_pillow(image: Image.Image) -> int:
    """The orientation by which Pillow will turn a TIFF file as it loads its pixels."""
    with contextlib.suppress(Exception):  # damaged tags raise exceptions of many types
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def _identify(where: str, head: bytes, size: int) -> tuple[str, _Opener]:
    for kind, signatures, opener in _FORMATS:
        if head.startswith(signatures) and (kind != "WEBP" or head[8:12] == b"WEBP"):
            return kind, opener
    if size == 0:
        raise DataError(
            "D102", f"{where}: not an image: the file is empty (0 bytes)", "copy the file again or remove it"
        )
    found = foreign(head)
    if found is not None:
        kind, way_out = found
        message = f"{where}: not an image that can be read, but {kind} ({size} bytes)"
        raise DataError("D102", message, f"it is {kind}: {way_out}")
    start = printable(head[:16].decode("latin-1"))
    raise DataError(
        "D102",
        f"{where}: not an image: the file starts with `{start}` ({size} bytes)",
        "convert it to PNG or JPEG, or remove it",
    )


def _check_size(where: str, size: tuple[int, int] | None, max_pixels: int) -> None:
    if size is not None and size[0] * size[1] > max_pixels:
        width, height = size
        raise DataError(
            "D120",
            f"{where}: {width}x{height} (WxH) is {width * height / 1e6:.1f} million pixels; "
            f"data.max_pixels allows {max_pixels / 1e6:.1f} million",
            f"if the image is meant to be this large, set data.max_pixels={width * height}; or store it as "
            "a TIFF file in tiles, which is read in parts",
        )


def _is_lossless_webp(stream: BinaryIO) -> bool:
    """Whether the first frame of a WebP file is stored without loss, which only its own chunk says."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        # The chunks of an animation's frame follow its header of 16 bytes.
        stream.seek(16 if kind == b"ANMF" else length + length % 2, 1)
    return False


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


def raw_mode_of(image: Image.Image) -> str:
    """Pillow's name for the stored pixel layout of an image whose pixels are not loaded yet, else its mode."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return image.mode
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else image.mode


def with_stretched_key(image: Image.Image, raw_mode: str) -> Image.Image:
    """An image whose transparent grey value is given like its pixels.

    Pillow stretches the pixels of PNG files of 2 and 4 bits to 0..255, but not the value that stands for transparency.

    Args:
        image: Image with its pixels loaded.
        raw_mode: Its stored pixel layout, by `raw_mode_of` before they were loaded.
    """
    bits, key = GREY_BITS.get(raw_mode), image.info.get("transparency")
    if bits is None or not isinstance(key, int):
        return image
    stretched = image.copy()
    stretched.info["transparency"] = key * (255 // ((1 << bits) - 1))
    return stretched


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
