"""Reading of image files into arrays: uint8 RGB, or the channels that the recipe selects.

Every result depends on the file and the options alone, so the functions may run in any thread.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from PIL import ExifTags, Image, ImageOps

from pixelwise.datasets.reading.bands import (
    ARRAY_SUFFIX,
    array_without_channels,
    bands_error,
    not_rgb_error,
    read_bands,
)
from pixelwise.datasets.reading.decoding import Decoded, decode
from pixelwise.datasets.reading.limits import within_memory
from pixelwise.datasets.reading.plain_png import read_plain_png
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError
from pixelwise.storage import printable

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a decoded image besides its pixels.

    Attributes:
        format: Format by the file's content: `JPEG`, `PNG`, `WEBP`, `TIFF`, `BMP` or `GIF`.
        stored_size: (height, width) before the EXIF orientation is applied.
        orientation: EXIF orientation, 1 (upright) to 8.
        transparent: Whether any pixel is not opaque.
        animated: Whether there are frames after the first, which is the one used.
    """

    format: str
    stored_size: tuple[int, int]
    orientation: int = 1
    transparent: bool = False
    animated: bool = False


def read_image(path: Path, reading: Reading) -> np.ndarray:
    """Read an image as uint8 (H, W, 3) RGB, upright unless `reading.exif` is `ignore`.

    With `reading.channels`, the result is uint8 (H, W, C) of these channels; see `pixelwise.datasets.reading.bands`.

    Raises:
        DataError: D101 truncated or damaged, D102 not an image, D104 more than 8 bits per channel
            and no `input_range`, D105 bands that need `channels`, D106 a missing channel, D120 too many
            pixels, D131 unreadable.
    """
    return load_image(path, reading)[0]


def load_image(path: Path, reading: Reading) -> tuple[np.ndarray, ImageFacts]:
    """Read an image like `read_image`, together with facts about the file."""
    with within_memory(path):
        return _load_image(path, reading)


def _load_image(path: Path, reading: Reading) -> tuple[np.ndarray, ImageFacts]:
    if reading.channels is not None and _holds_bands(path):
        bands = read_bands(path, reading)
        kind = "NPY" if path.suffix.lower() == ARRAY_SUFFIX else "TIFF"
        return bands, ImageFacts(format=kind, stored_size=bands.shape[:2])
    if path.suffix.lower() == ARRAY_SUFFIX:
        raise array_without_channels(path, reading.max_pixels)
    plain = read_plain_png(path, max_pixels=reading.max_pixels)
    if plain is not None:
        pixels = plain if reading.channels is None else _choose_channels(plain, path, reading.channels)
        return pixels, ImageFacts(format="PNG", stored_size=plain.shape[:2])
    decoded = decode(path, max_pixels=reading.max_pixels)
    image = decoded.image
    _check_further_bands(decoded, path)
    stored_size = (image.height, image.width)
    orientation = _orientation(image)
    if orientation != 1 and reading.exif == "apply":
        image = ImageOps.exif_transpose(image)
    transparent = False
    if image.mode in DEEP_MODES:
        pixels = _stretch(np.asarray(image), path, reading)
    else:
        _check_deep_color(decoded, path, reading)
        pixels, transparent = _to_rgb(image, reading)
    if reading.channels is not None:
        pixels = _choose_channels(pixels, path, reading.channels)
    facts = ImageFacts(
        format=decoded.format,
        stored_size=stored_size,
        orientation=orientation,
        transparent=transparent,
        animated=decoded.animated,
    )
    return pixels, facts


def _orientation(image: Image.Image) -> int:
    # With a damaged EXIF block, the image is taken as stored.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image, reading: Reading) -> tuple[np.ndarray, bool]:
    """Convert an image with 8 bits per channel to uint8 (H, W, 3); also tells whether any pixel is not opaque."""
    if not image.has_transparency_data:
        return np.array(image if image.mode == "RGB" else image.convert("RGB")), False
    rgba = np.array(image.convert("RGBA"))
    alpha = rgba[..., 3]
    if reading.alpha == "drop" or alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3]), bool(alpha.min() < 255)
    blended = (rgba[..., :3].astype(np.uint16) * alpha[..., None] + 127) // 255
    return blended.astype(np.uint8), True


def _holds_bands(path: Path) -> bool:
    """Whether a file is read band by band: arrays by their extension, TIFF files by their first bytes."""
    if path.suffix.lower() == ARRAY_SUFFIX:
        return True
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as stream:
            return stream.read(4) in _TIFF
    except OSError:
        return False


def _choose_channels(rgb: np.ndarray, path: Path, channels: tuple[int, ...]) -> np.ndarray:
    """Select channels of an image that has three.

    Raises:
        DataError: D106, the image lacks a channel.
    """
    if max(channels) >= rgb.shape[2]:
        raise DataError(
            "D106",
            f"{printable(path)}: the image has 3 channels (0..2); data.channels asks for {list(channels)}",
            "more channels are read from TIFF files and NumPy arrays (.npy) only",
        )
    return np.ascontiguousarray(rgb[..., list(channels)])


def _stretch(values: np.ndarray, path: Path, reading: Reading) -> np.ndarray:
    """Map (H, W) values of more than 8 bits to uint8 (H, W, 3) by the user's `input_range`."""
    if reading.input_range is None:
        # Finite values only: float TIFFs mark missing data with NaN.
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        raise _deep_image(path, f"values {low:g}..{high:g}", "for example, data.input_range=[0, 65535]")
    low, high = reading.input_range
    if not low < high:
        raise RecipeError("R203", f"data.input_range is [{low}, {high}]; expected low < high", "for example [0, 65535]")
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / (high - low))
    grey = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _check_deep_color(decoded: Decoded, path: Path, reading: Reading) -> None:
    """Refuse 16-bit colour unless `input_range` is the full range, the only one that Pillow's upper 8 bits suit."""
    if "16" in decoded.raw_mode and reading.input_range != (0, 65535):
        raise _deep_image(
            path,
            "16 bits per colour channel",
            "data.input_range=[0, 65535] keeps the upper 8 bits; for another range convert the images to 8 bits",
        )


def _check_further_bands(decoded: Decoded, path: Path) -> None:
    """Refuse bands that Pillow drops: those that are neither colour nor alpha, such as near infrared after RGB."""
    if decoded.format != "TIFF":
        return
    tags = getattr(decoded.image, "tag_v2", {})
    further = tags.get(ExifTags.Base.ExtraSamples, ())
    if 0 in (further if isinstance(further, tuple) else (further,)):
        deep = np.uint16 if "16" in decoded.raw_mode else np.uint8
        raise not_rgb_error(path, int(tags.get(ExifTags.Base.SamplesPerPixel, 1)), np.dtype(deep))
    if decoded.animated and (stacked := bands_error(path)) is not None:
        raise stacked


def _deep_image(path: Path, found: str, help: str) -> DataError:
    return DataError(
        "D104",
        f"{printable(path)}: the image has {found}; expected 8 bits per channel (clipping would destroy the image)",
        f"choose the values that become 0 and 255: {help}",
    )
