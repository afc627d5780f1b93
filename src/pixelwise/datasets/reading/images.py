"""Reading of image files into arrays: uint8 RGB, or the channels that the recipe selects.

Every result depends on the file and the options alone, so the functions may run in any thread.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from pixelwise.datasets.reading.bands import ARRAY_SUFFIX, array_without_channels, pixels_of_array, pixels_of_tiff
from pixelwise.datasets.reading.decoding import Decoded, decode, raw_mode_of, with_stretched_key
from pixelwise.datasets.reading.limits import too_many_pixels, within_memory
from pixelwise.datasets.reading.normal_form import DEEP_MODES, Picture, normalise, picture_of_pillow
from pixelwise.datasets.reading.orientation import stated_orientation, turned_back, turned_upright
from pixelwise.datasets.reading.plain_png import read_deep_png, read_plain_png
from pixelwise.datasets.reading.regions.mosaics import is_mosaic
from pixelwise.datasets.reading.tiff import is_tiff, read_tiff
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.stores.members import Member


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a decoded image besides its pixels.

    Attributes:
        format: Format by the file's content: `JPEG`, `PNG`, `WEBP`, `TIFF`, `BMP`, `GIF`, `NPY` or `VRT`.
        orientation: Orientation that the file states, 1 (upright) to 8.
        transparent: Whether any pixel is not opaque.
        animated: Whether there are frames or pages after the first, which is the one used.
        ranged: Whether the values went through `data.input_range`.
    """

    format: str
    orientation: int = 1
    transparent: bool = False
    animated: bool = False
    ranged: bool = False


def read_image(path: Path, reading: Reading) -> np.ndarray:
    """Read an image as uint8 (H, W, 3) RGB, upright unless `reading.exif` is `ignore`.

    With `reading.channels`, the result is uint8 (H, W, C) of these channels; `pixelwise.datasets.reading.normal_form`
    says which channels an image has.

    Raises:
        DataError: D101 truncated or damaged, D102 not an image, D104 more than 8 bits per channel
            and no `input_range`, D105 bands that need `channels`, D106 a missing channel, D120 too many
            pixels, D122 a mosaic with something that is not supported, D131 unreadable, D151 no memory for it.
        RecipeError: R203, an empty `input_range`.
    """
    return load_image(path, reading)[0]


def load_image(path: Path, reading: Reading) -> tuple[np.ndarray, ImageFacts]:
    """Read an image like `read_image`, together with facts about the file."""
    with within_memory(path):
        return _load_image(path, reading)


def _load_image(path: Path, reading: Reading) -> tuple[np.ndarray, ImageFacts]:
    where = printable(path)
    if path.suffix.lower() == ARRAY_SUFFIX:
        if reading.channels is None:
            raise array_without_channels(path, reading.max_pixels)
        found = pixels_of_array(path, reading)
        return found.pixels, ImageFacts(format="NPY", ranged=found.ranged)
    if isinstance(path, Member) and path.by_ranges:
        _require_whole(path, reading)
    if is_mosaic(path):
        # Imported here: it takes time that only such images need to pay.
        from pixelwise.datasets.reading.regions.images import read_whole_mosaic

        return read_whole_mosaic(path, reading).pixels, ImageFacts(format="VRT")
    plain = read_plain_png(path, max_pixels=reading.max_pixels)
    if plain is not None:
        found = normalise(Picture(plain), reading, where)
        return found.pixels, ImageFacts(format="PNG")
    if is_tiff(path):
        stored = read_tiff(path, reading.max_pixels, stacked=reading.channels is not None)
        if stored is not None:
            found = pixels_of_tiff(stored, path, reading)
            return found.pixels, ImageFacts(
                format="TIFF",
                orientation=stored.orientation,
                transparent=found.transparent,
                animated=stored.further is not None,
                ranged=found.ranged,
            )
    decoded = decode(path, max_pixels=reading.max_pixels)
    found = normalise(_picture(decoded, path), reading, where)
    facts = ImageFacts(
        format=decoded.format,
        orientation=decoded.orientation,
        transparent=found.transparent,
        animated=decoded.animated,
        ranged=found.ranged,
    )
    return turned_upright(found.pixels, decoded.orientation if reading.exif == "apply" else 1), facts


def _require_whole(path: Path, reading: Reading) -> None:
    """Refuse a file in a shard whose header says that it is not decoded whole: its content is not asked for."""
    # Imported here: it takes time that only such images need to pay.
    from pixelwise.datasets.reading.regions.images import large_image

    found = large_image(path, reading.max_pixels)
    if found is not None:
        raise too_many_pixels(path, found.pixels, reading.max_pixels)


def from_pillow(image: Image.Image, reading: Reading) -> np.ndarray:
    """A Pillow image in the form of `read_image`, as if it had been read from its file.

    Args:
        image: Image of any mode, whose pixels may not be loaded yet.
        reading: Reading options; `max_pixels` is not applied, because the image is open already.

    Raises:
        DataError: D104 more than 8 bits per channel and no `input_range`, or colours of 16 bits that Pillow reduces;
            D106 a missing channel.
    """
    where = f"the Pillow image (mode '{image.mode}')"
    raw_mode = raw_mode_of(image)
    if "16" in raw_mode and image.mode not in DEEP_MODES:
        raise _deep_colors(where, "give the file itself instead, or convert the image to 8 bits")
    # Pillow turns TIFF files upright as it loads them, and drops the statement.
    turned = stated_orientation(image) if isinstance(image, TiffImageFile) and image.tile else 1
    _load(image)
    stated = 1 if isinstance(image, TiffImageFile) else stated_orientation(image)
    pixels = normalise(picture_of_pillow(with_stretched_key(image, raw_mode)), reading, where).pixels
    return turned_upright(pixels, stated) if reading.exif == "apply" else turned_back(pixels, turned)


def _load(image: Image.Image) -> None:
    """Load the pixels of an image. Pillow maps some TIFF files into memory with height and width exchanged."""
    name = getattr(image, "filename", "")
    if not (isinstance(image, TiffImageFile) and image.tile and name):
        image.load()
        return
    image.filename = ""  # without a name the pixels are read, not mapped
    try:
        image.load()
    finally:
        image.filename = name


def _picture(decoded: Decoded, path: Path) -> Picture:
    """The channels of a decoded file; exact ones where Pillow reduces 16-bit colours to 8 bits."""
    if "16" in decoded.raw_mode and decoded.image.mode not in DEEP_MODES:
        deep = read_deep_png(path) if decoded.format == "PNG" else None
        if deep is None:
            raise _deep_colors(printable(path), "convert the image to 8 bits, or to a TIFF file of 16-bit RGB")
        return Picture(deep.values, "straight" if deep.has_alpha else "none", 16)
    return picture_of_pillow(decoded.image)


def _deep_colors(where: str, help: str) -> DataError:
    return DataError(
        "D104",
        f"{where}: the image has 16 bits per colour channel, of which only the upper 8 can be read here",
        help,
    )
