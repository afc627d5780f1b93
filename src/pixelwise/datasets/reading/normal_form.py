"""The one form in which an image reaches the rest of the system, whatever file, array or Pillow image it comes from.

Pictures are RGB, with a fourth channel if they are transparent: grey ones have three equal channels; palettes, CMYK,
Lab and YCbCr are converted; where white is zero, it becomes white. Colour profiles are not applied. `data.channels`
selects among these channels, `data.input_range` maps values that are not unsigned 8-bit ones to 0..255, and
`data.alpha` says what becomes of transparent pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from pixelwise.datasets.reading.tiff import PALETTE, WHITE_IS_ZERO, Alpha, StoredTiff
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, RecipeError
from pixelwise.storage.names import counted

DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of one channel with more than 8 bits."""
_BAND_PIXELS = 1 << 22
"""Number of pixels that are taken from a Pillow image together."""


class Picture(NamedTuple):
    """Decoded channels, before options are applied.

    Attributes:
        values: (H, W, C) of any number type: one grey channel or RGB, then alpha if there is one; or C bands.
        alpha: Whether the last channel is transparency, and whether the colours are already multiplied by it.
        bits: Number of bits per value.
        is_bands: Whether the channels are bands that stand for themselves, not the colours of a picture.
        is_inverted: Whether the lowest value is white.
    """

    values: np.ndarray
    alpha: Alpha = "none"
    bits: int = 8
    is_bands: bool = False
    is_inverted: bool = False


class Normalised(NamedTuple):
    """An image in the normal form.

    Attributes:
        pixels: uint8 (H, W, 3), or (H, W, C) for the C selected channels.
        transparent: Whether any pixel is not opaque.
        ranged: Whether the values went through `input_range`, because they are not unsigned 8-bit ones.
    """

    pixels: np.ndarray
    transparent: bool = False
    ranged: bool = False


def normalise(picture: Picture, reading: Reading, where: str) -> Normalised:
    """Apply the channels, range and alpha options to a decoded image.

    Args:
        picture: The decoded channels.
        reading: Reading options; the orientation is not applied here.
        where: Name of the image for messages.

    Raises:
        DataError: D104 values that are not unsigned 8-bit ones and no `input_range`, D106 a missing channel.
        RecipeError: R203, an empty `input_range`.
    """
    values, channels = picture.values, reading.channels
    colors = values.shape[2] - (picture.alpha != "none")
    width = values.shape[2] if picture.is_bands else 3 + (picture.alpha != "none")
    wanted = tuple(range(width))[:3] if channels is None else channels
    if max(wanted) >= width:
        raise DataError(
            "D106",
            f"{where}: the image has {counted(width, 'channel')} (0..{width - 1}); data.channels asks "
            f"for {list(wanted)}",
            "channels are counted from 0; select only channels that every image has",
        )
    if picture.is_bands:
        pixels = to_bytes(values[..., list(wanted)], where, reading.input_range)
        return Normalised(pixels, ranged=not _is_bytes(values))
    alpha = None if picture.alpha == "none" else opacity(values[..., -1], picture.bits)
    painted = values[..., :colors]
    # Whoever selects the transparency as a channel wants the others as they are stored, too.
    as_stored = 3 in wanted
    if alpha is not None and picture.alpha == "premultiplied" and not as_stored:
        painted = _divided(painted, values[..., -1:])
    seen = to_bytes(painted, where, reading.input_range)
    if picture.is_inverted:
        seen = 255 - seen
    transparent = alpha is not None and bool(alpha.min(initial=255) < 255)
    if alpha is not None and transparent and reading.alpha == "black" and not as_stored:
        seen = ((seen.astype(np.uint16) * alpha[..., None] + 127) // 255).astype(np.uint8)
    if colors == 1:
        seen = np.repeat(seen, 3, axis=2)
    if as_stored:
        seen = np.dstack([seen, to_bytes(values[..., -1:], where, reading.input_range)])
    pixels = seen if wanted == (0, 1, 2) else np.ascontiguousarray(seen[..., list(wanted)])
    return Normalised(pixels, transparent, not _is_bytes(values))


def to_bytes(values: np.ndarray, where: str, input_range: tuple[float, float] | None) -> np.ndarray:
    """Map numbers of any type to uint8 by `input_range`; uint8 is unchanged, with or without a range. NaN becomes 0.

    Raises:
        DataError: D104, the values are not unsigned 8-bit ones and `input_range` is None.
        RecipeError: R203, an empty `input_range`.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if input_range is None:
        raise DataError(
            "D104",
            f"{where}: the image has {values.dtype} values {_span(values)}; expected 8 bits per channel (clipping "
            "would destroy the image)",
            f"choose the values that become 0 and 255: for example, 'data.input_range={_usual_range(values)}'",
        )
    low, high = input_range
    if not low < high:
        raise RecipeError("R203", f"data.input_range is [{low}, {high}]; expected low < high", "for example [0, 65535]")
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / (high - low))
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)


def _usual_range(values: np.ndarray) -> str:
    """The usual range that holds numbers of their type, as an override: `[0, 65535]`; for unusual ones, their own."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    # Integers of one image do not tell how many of their bits others use.
    scales = (1, 255, 65535) if values.dtype.kind == "f" else (65535,)
    usual = next((scale for scale in scales if low >= 0 and high <= scale), None)
    if usual is not None or low == high:
        return f"[0, {usual or 65535}]"
    return f"[{math.floor(low)}, {math.ceil(high)}]"


def picture_of_tiff(stored: StoredTiff) -> Picture:
    """The channels of a TIFF image, in the stored orientation."""
    values, bits = stored.values, stored.bits
    if not stored.is_picture:
        return Picture(values, bits=bits, is_bands=True)
    if stored.photometric == PALETTE and stored.palette is not None:
        colors = stored.palette[values[..., 0].astype(np.intp)]
        return Picture(np.concatenate([colors, values[..., 1:].astype(np.uint8)], axis=2), stored.alpha)
    if bits < 8 and values.dtype.kind == "u":
        values, bits = values * np.uint8(255 // ((1 << bits) - 1)), 8
    return Picture(values, stored.alpha, bits, is_inverted=stored.photometric == WHITE_IS_ZERO)


def picture_of_pillow(image: Image.Image) -> Picture:
    """The channels of a Pillow image with its pixels as they are, not turned."""
    if image.mode in DEEP_MODES:
        values = np.asarray(image)
        key = image.info.get("transparency")
        if values.dtype.kind == "u" and isinstance(key, int):
            # One grey value of a 16-bit PNG may stand for transparency.
            opaque = np.where(values == key, 0, 65535).astype(values.dtype)
            return Picture(np.dstack([values, opaque]), "straight", 16)
        # Pillow inverts TIFF files of 8 bits itself, others not.
        inverted = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation) == WHITE_IS_ZERO
        return Picture(values[..., None], bits=8 * values.dtype.itemsize, is_inverted=inverted)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return Picture(_pixels_of(image.convert("RGBA")), "straight")
    if image.mode in ("L", "1"):
        return Picture(_pixels_of(image.convert("L"))[..., None])
    return Picture(_pixels_of(image if image.mode == "RGB" else image.convert("RGB")))


def _pixels_of(image: Image.Image) -> np.ndarray:
    """The pixels of a Pillow image of bytes, by bands of rows: Pillow would hold those of a whole image twice."""
    height = max(1, _BAND_PIXELS // max(image.width, 1))
    if image.height <= height:
        return np.array(image)
    found = np.empty((image.height, image.width, *np.asarray(image.crop((0, 0, 1, 1))).shape[2:]), np.uint8)
    for first in range(0, image.height, height):
        last = min(first + height, image.height)
        found[first:last] = np.asarray(image.crop((0, first, image.width, last)))
    return found


def _is_bytes(values: np.ndarray) -> bool:
    return values.dtype.kind == "b" or values.dtype == np.uint8


def opacity(alpha: np.ndarray, bits: int) -> np.ndarray:
    """An alpha channel as uint8 (H, W): the full range of integers of `bits` bits, or floats 0..1, becomes 0..255."""
    if alpha.dtype == np.uint8 and bits == 8:
        return alpha
    whole = 1.0 if alpha.dtype.kind in "bf" else float((1 << (bits - (alpha.dtype.kind == "i"))) - 1)
    share = np.nan_to_num(alpha.astype(np.float64)) / whole
    return np.clip(np.round(255 * share), 0, 255).astype(np.uint8)


def _divided(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colours before they were multiplied by alpha; where alpha is 0 they stay as they are stored."""
    if colors.dtype.kind == "f":
        share = np.where(alpha > 0, alpha, 1)
        return (colors / share).astype(colors.dtype)
    full = np.iinfo(colors.dtype).max if colors.dtype.kind in "ui" else 1
    wide, divisor = colors.astype(np.float64), np.where(alpha > 0, alpha, full).astype(np.float64)
    return np.clip(np.floor(wide * full / divisor + 0.5), 0, full).astype(colors.dtype)


def _span(values: np.ndarray) -> str:
    # Finite values only: missing data is often NaN.
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    return f"{low:g}..{high:g}"
