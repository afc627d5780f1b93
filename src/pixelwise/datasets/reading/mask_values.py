"""Reading of mask files as stored numbers: ids are never inverted, stretched, rounded, wrapped or guessed.

Pictures are decoded for the eye: white may be zero, few bits are stretched, many are reduced. Masks are read by their
stored values instead, of any integer type, whatever the container. What a mask holds besides its first channel or its
colours (transparency, further pages) is refused if something would be lost, never dropped in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from pixelwise.datasets.explanations import describe_counts
from pixelwise.datasets.labels import LabelTable, color_codes, count_values
from pixelwise.datasets.reading.bands import ARRAY_SUFFIX, integers, read_array_mask
from pixelwise.datasets.reading.decoding import GREY_BITS, Decoded, decode, frames_differ
from pixelwise.datasets.reading.limits import within_memory
from pixelwise.datasets.reading.normal_form import DEEP_MODES, opacity
from pixelwise.datasets.reading.orientation import turned_upright
from pixelwise.datasets.reading.plain_png import read_deep_png
from pixelwise.datasets.reading.tiff import (
    BLACK_IS_ZERO,
    PALETTE,
    RGB,
    StoredTiff,
    differing_page,
    is_tiff,
    read_tiff,
)
from pixelwise.errors import DataError
from pixelwise.storage import printable

_MANY_COLORS = 40
# Colours that differ by no more are one colour with noise.
_NOISE = 8


class RawMask(NamedTuple):
    """A decoded mask whose values are not interpreted yet.

    Attributes:
        values: (H, W) integers of any width and sign, or uint8 (H, W, 3) colours.
        palette: uint8 (n, 3) colours of the ids, for palette images.
        encoding: Storage format in words, such as `palette PNG`.
        lossless: Whether the file format keeps every value exactly.
        grey_rgb: Whether the file is an RGB image with only grey pixels; `values` are their grey levels.
        transparent: Whether pixels are transparent whose values or colours are read all the same.
    """

    values: np.ndarray
    palette: np.ndarray | None
    encoding: str
    lossless: bool
    grey_rgb: bool = False
    transparent: bool = False


class _Stored(NamedTuple):
    """The channels of a mask file as they are stored.

    Attributes:
        colors: (H, W) numbers or (H, W, 3) colours.
        alpha: (H, W) transparency; None if the file has none.
        palette: uint8 (n, 3) colours of `colors`, for palette images.
        bits: Number of bits per value.
        format: Container, such as `PNG`.
        lossless: Whether values are kept exactly.
    """

    colors: np.ndarray
    alpha: np.ndarray | None
    palette: np.ndarray | None
    bits: int
    format: str
    lossless: bool


def load_mask(path: Path, table: LabelTable, *, max_pixels: int, exif: Literal["apply", "ignore"] = "apply") -> RawMask:
    """Decode a mask without interpreting its values.

    Palette images yield their indices, unless `table` holds colours only; 1-bit images yield 0 and 1; an RGB image
    whose three channels are equal everywhere counts as one channel; whole floating-point numbers count as integers.

    Args:
        path: The mask file.
        table: Label table; says whether values, colours or the alpha channel are read.
        max_pixels: Files with more pixels are refused before they are decoded.
        exif: Whether the mask is turned upright if its own file states an orientation.

    Raises:
        DataError: D140 transparency that holds what would be lost, D141 no alpha channel where one is to be read, D142
            further pages or frames that differ, D205 fractions, several bands, colours of more than 8 bits, and arrays
            other than (H, W); D101, D102, D120, D131 and D151 as in `read_image`.
    """
    with within_memory(path):
        return _load_mask(path, table, max_pixels, exif == "apply")


def _load_mask(path: Path, table: LabelTable, max_pixels: int, turns: bool) -> RawMask:
    if path.suffix.lower() == ARRAY_SUFFIX:
        if table.from_alpha:
            raise _no_alpha(path)
        values = read_array_mask(path, max_pixels)
        return RawMask(values, None, f"{8 * values.dtype.itemsize}-bit NPY", True)
    stored, orientation = _read(path, max_pixels)
    upright = orientation if turns else 1
    transparent = False
    if not table.from_alpha and stored.alpha is not None:
        transparent = _check_alpha(stored, path)
    raw = _interpreted(stored, table, path)
    return raw._replace(values=turned_upright(raw.values, upright), transparent=transparent)


def _read(path: Path, max_pixels: int) -> tuple[_Stored, int]:
    """The channels of a mask file, and the orientation that it states.

    Raises:
        DataError: D142, and D205 for several bands.
    """
    tiff = read_tiff(path, max_pixels, stacked=None) if is_tiff(path) else None
    if tiff is not None:
        if tiff.further is not None and differing_page(path, max_pixels):
            raise _pages_error(path, f"several pages of different content (values of shape {list(tiff.further)})")
        return _of_tiff(tiff, path), tiff.orientation
    decoded = decode(path, max_pixels=max_pixels)
    if decoded.animated and frames_differ(path):
        raise _pages_error(path, "several frames of different content")
    return _of_pillow(decoded, path), decoded.orientation


def interpreted_part(tiff: StoredTiff, table: LabelTable, path: Path, *, grey: bool) -> RawMask:
    """A part of a mask, as `load_mask` reads the whole; transparency that the table does not ask for is left out.

    Args:
        tiff: The stored values of the part, upright.
        table: Label table; says whether values, colours or the alpha channel are read.
        path: The file, for messages.
        grey: Whether all pixels of the whole mask are grey, if it is an RGB image.

    Raises:
        DataError: D141 and D205 as `load_mask`.
    """
    return _interpreted(_of_tiff(tiff, path), table, path, grey)


def stored_png(path: Path, max_pixels: int) -> StoredTiff:
    """The channels of a PNG mask as `load_mask` takes them, in the form in which parts of TIFF masks are given.

    Args:
        path: The PNG file.
        max_pixels: Files with more pixels are refused before they are decoded.

    Raises:
        DataError: D205, colours of more than 8 bits that cannot be read; those of `decode`.
    """
    decoded = decode(path, max_pixels=max_pixels)
    stored = _of_pillow(decoded, path)
    colored = stored.colors.ndim == 3
    values = stored.colors if colored else stored.colors[..., None]
    return StoredTiff(
        values=values if stored.alpha is None else np.dstack([values, stored.alpha]),
        photometric=RGB if colored else BLACK_IS_ZERO if stored.palette is None else PALETTE,
        alpha="none" if stored.alpha is None else "straight",
        bits=stored.bits,
        palette=stored.palette,
        orientation=decoded.orientation,
        further=None,
        is_lossy=False,
        format=decoded.format,
    )


def _of_tiff(tiff: StoredTiff, path: Path) -> _Stored:
    values, has_alpha = tiff.values, tiff.alpha != "none"
    if not tiff.is_picture:
        raise DataError(
            "D205",
            f"{printable(path)}: the mask has {values.shape[2]} bands of {values.dtype}; expected one of class ids",
            "save one class id per pixel: the argmax of probabilities or of one band per class",
        )
    colors = values[..., :3] if tiff.photometric == RGB else values[..., 0]
    return _Stored(
        colors.astype(np.uint8) if colors.dtype.kind == "b" else colors,
        values[..., -1] if has_alpha else None,
        tiff.palette,
        tiff.bits,
        tiff.format,
        not tiff.is_lossy,
    )


def _of_pillow(decoded: Decoded, path: Path) -> _Stored:
    image, bits, palette, alpha = decoded.image, 8, None, None
    if "16" in decoded.raw_mode and image.mode not in DEEP_MODES:
        deep = read_deep_png(path) if decoded.format == "PNG" else None
        if deep is None:
            raise _deep_colors(path)
        values = deep.values[..., :3] if deep.values.shape[2] > 2 else deep.values[..., 0]
        alpha = deep.values[..., -1] if deep.has_alpha else None
        return _Stored(values, alpha, None, 16, decoded.format, decoded.lossless)
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        colors = np.array(image.getchannel("P") if image.mode == "PA" else image)
    elif image.mode == "1":
        colors, bits = np.array(image).astype(np.uint8), 1
    elif image.mode in ("L", "LA"):
        # Stretched values are right for an image, wrong for ids.
        bits = GREY_BITS.get(decoded.raw_mode, 8)
        colors = np.array(image.getchannel("L")) // np.uint8(255 // ((1 << bits) - 1))
    elif image.mode in DEEP_MODES:
        colors = np.asarray(image)
        bits = 8 * colors.dtype.itemsize
    else:
        colors = np.array(image.convert("RGBA").convert("RGB"))
    if image.has_transparency_data and image.mode not in DEEP_MODES:
        alpha = np.array(image.convert("RGBA").getchannel("A"))
    return _Stored(colors, alpha, palette, bits, decoded.format, decoded.lossless)


def _interpreted(stored: _Stored, table: LabelTable, path: Path, grey: bool | None = None) -> RawMask:
    """The channel or the colours that the label table is about; `grey` says what is known of RGB colours."""
    kind, palette, grey_rgb = f"{stored.bits}-bit", None, False
    by_color = bool(table.colors) and not table.ids
    values = _chosen(stored, table, path)
    if table.from_alpha:
        kind = "alpha channel of"
    elif table.threshold is not None and values is not stored.colors:
        kind = "black and white"
    elif stored.palette is not None and values.ndim == 2:
        kind, palette = "palette", stored.palette
    elif values.ndim == 3:
        kind = "RGB"
        if not by_color and (is_grey(values) if grey is None else grey):
            values, kind, grey_rgb = np.ascontiguousarray(values[..., 0]), "grey RGB", True
        elif values.dtype != np.uint8:
            values = _eight_bits(values, path)
    return RawMask(integers(values, path), palette, f"{kind} {stored.format}", stored.lossless, grey_rgb)


def _chosen(stored: _Stored, table: LabelTable, path: Path) -> np.ndarray:
    """The numbers (H, W) or colours (H, W, 3) that the label table is about, not interpreted."""
    if table.from_alpha:
        if stored.alpha is None:
            raise _no_alpha(path)
        return opacity(stored.alpha, 8 * stored.alpha.dtype.itemsize)
    colors, by_color = stored.colors, bool(table.colors) and not table.ids
    if colors.dtype == np.uint16 and colors.ndim == 3 and table.threshold is not None:
        colors = (colors >> 8).astype(np.uint8)
    if colors.dtype != np.uint8 or not (by_color or table.threshold is not None):
        return colors
    if stored.palette is not None:
        # A palette may name fewer colours than its bits allow; Pillow shows the others as black.
        whole = np.zeros((256, 3), np.uint8)
        whole[: len(stored.palette)] = stored.palette[:256]
        colors = whole[colors]
    elif colors.ndim == 2 and stored.bits < 8:
        colors = colors * np.uint8(255 // ((1 << stored.bits) - 1))
    if table.threshold is not None:
        return colors if colors.ndim == 2 else np.array(Image.fromarray(colors).convert("L"))
    return np.repeat(colors[..., None], 3, axis=2) if colors.ndim == 2 else colors


def _check_alpha(stored: _Stored, path: Path) -> bool:
    """Whether pixels are transparent, although their values or colours tell everything.

    Raises:
        DataError: D140, the transparency tells what they do not.
    """
    alpha = stored.alpha
    if alpha is None or alpha.size == 0 or alpha.min() == alpha.max():
        return False
    where = printable(path)
    colors = stored.colors
    codes = color_codes(colors) if colors.ndim == 3 and colors.dtype == np.uint8 else colors
    what = _lost_with_alpha(codes, colors, alpha)
    if what is None:
        # A palette's transparent entries change no index.
        return stored.palette is None
    raise DataError(
        "D140",
        f"{where}: the mask's alpha channel, {describe_counts(count_values(alpha))}, holds information that would be "
        f"lost: {what}",
        "if transparency marks the background, read it: data.mask_channel=alpha data.mask_threshold=128; otherwise "
        "export the mask without an alpha channel",
    )


def _lost_with_alpha(codes: np.ndarray, colors: np.ndarray, alpha: np.ndarray) -> str | None:
    """What the transparency of a mask tells and its colours do not, in words; None if that is nothing."""
    found = np.unique(codes) if codes.ndim == 2 else np.unique(codes.reshape(-1, codes.shape[2]), axis=0)
    if len(found) == 1:
        return "all pixels have the same colour"
    both = np.intersect1d(codes[alpha == 0], codes[alpha != 0])[:1] if codes.ndim == 2 else found[:0]
    if both.size:
        name = f"the colour #{int(both[0]):06x}" if colors.ndim == 3 else f"the value {both[0]}"
        return f"{name} is transparent in some pixels, visible in others"
    if colors.ndim < 3 or is_grey(colors):
        return None
    flat = colors.reshape(-1, colors.shape[2])
    if int((flat.max(axis=0).astype(np.int64) - flat.min(axis=0)).max()) <= _NOISE:
        return "all pixels have nearly the same colour"
    return f"the colours are those of a picture ({len(found)} different ones)" if len(found) > _MANY_COLORS else None


def _eight_bits(colors: np.ndarray, path: Path) -> np.ndarray:
    """16-bit colours that are 8-bit ones written with more bits.

    Raises:
        DataError: D205, they are not.
    """
    if colors.dtype != np.uint16 or ((colors >> 8) != (colors & 255)).any():
        raise _deep_colors(path)
    return (colors >> 8).astype(np.uint8)


def _deep_colors(path: Path) -> DataError:
    return DataError(
        "D205",
        f"{printable(path)}: the mask is a colour image of more than 8 bits per channel; expected class ids, or 8-bit "
        "colours",
        "export it as an 8-bit PNG",
    )


def _no_alpha(path: Path) -> DataError:
    return DataError(
        "D141",
        f"{printable(path)}: the mask has no alpha channel, from which data.mask_channel=alpha reads masks",
        "export the mask with transparency, or leave out data.mask_channel",
    )


def _pages_error(path: Path, found: str) -> DataError:
    return DataError(
        "D142",
        f"{printable(path)}: the mask holds {found}; expected a single one",
        "export one page per file, beside the image that it belongs to",
    )


def is_grey(rgb: np.ndarray) -> bool:
    """Whether the three channels (H, W, 3) are equal everywhere."""
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
