"""Reading of TIFF files as they are stored: no value is converted, inverted, stretched or turned.

What the values mean (white is zero, a palette, transparency, an orientation) is returned beside them, so that masks can
be read as numbers and images as pictures. Files that hold colours in another form than red, green and blue are left to
Pillow, which converts them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pixelwise.datasets.reading.files import errors_explained, open_regular, opened_regular
from pixelwise.datasets.reading.foreign import raw_camera_error
from pixelwise.datasets.reading.limits import require_pixels, require_room, too_many_pixels
from pixelwise.datasets.reading.orientation import of_tiff_tags
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

# Errors in files are raised; without a handler tifffile would print them as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = 0, 1, 2, 3
JPEG = (6, 7, 33007)
"""Compressions of TIFF that are JPEG."""
_FAX = (2, 3, 4, 32771)
# No sensor for this purpose has more bands: a longer axis is height or width.
_MAX_BANDS = 64
_STRAIGHT, _PREMULTIPLIED = (2, 999), (1,)
Alpha = Literal["none", "straight", "premultiplied"]

DAMAGED = "truncated or damaged TIFF file, or one with an unknown compression"
"""What a TIFF file is if it cannot be read, as a phrase that follows its name."""


class StoredTiff(NamedTuple):
    """The stored values of the first image in a TIFF file, and what they mean.

    Attributes:
        values: (H, W, C) of the stored type, in the stored orientation; bool for one bit per value.
        photometric: TIFF's PhotometricInterpretation, such as `WHITE_IS_ZERO`.
        alpha: Whether the last channel is transparency, and whether the colours are already multiplied by it.
        bits: Number of bits per value.
        palette: uint8 (n, 3) colours of the values, for palette images.
        orientation: Orientation that the file states, 1 (upright) to 8.
        further: Shape of everything in the file if there are further images, such as pages; otherwise None.
        is_lossy: Whether the compression changes values.
        format: Container, such as `PNG` for a mask that is kept in another form.
    """

    values: np.ndarray
    photometric: int
    alpha: Alpha
    bits: int
    palette: np.ndarray | None
    orientation: int
    further: tuple[int, ...] | None
    is_lossy: bool
    format: str = "TIFF"

    @property
    def is_picture(self) -> bool:
        """Whether the channels are those of a picture: grey, a palette or RGB, with or without transparency."""
        colors = self.values.shape[2] - (self.alpha != "none")
        return colors == (3 if self.photometric == RGB else 1)


def is_tiff(path: Path) -> bool:
    """Whether a regular file begins like a TIFF file; False if it cannot be read."""
    try:
        if not path.is_file():
            return False
        with reads(path), opened_regular(path, in_parts=True) as stream:
            return stream.read(4) in SIGNATURES
    except OSError:
        return False


def read_tiff(path: Path, max_pixels: int, *, stacked: bool | None = False) -> StoredTiff | None:
    """Read the first image of a TIFF file; None if Pillow has to convert its colours (CMYK, YCbCr, Lab, ...).

    Args:
        path: TIFF file.
        max_pixels: Files with more pixels are refused before they are decoded.
        stacked: Whether pages of equal size are bands of one image; False: only if the file says so; None: never.

    Raises:
        DataError: D101 damaged or with an unknown compression, D102 the raw data of a camera, D105 not numbers, more
            than three axes, or a stack of planes of which none was chosen; D120 too many pixels, D131 unreadable, D151
            no memory for it.
    """
    with errors_explained(path, DAMAGED), open_regular(path) as stream:
        # Imported here: it takes 50 ms, which only such images need to pay.
        import tifffile

        with tifffile.TiffFile(stream) as file:
            follow_pages(file)
            page = first_page(file)
            if (raw := raw_camera_error(path, page)) is not None:
                raise raw
            if needs_conversion(page):
                return None
            series = file.series[0]
            bands = stacked or (stacked is not None and is_stack_of_bands(file, series))
            if stacked and is_plane_stack(series):
                return described(page, _planes(path, series, max_pixels), "none", None)
            if bands and series.ndim == 3 and tuple(series.shape) != tuple(page.shape):
                values = _stack(path, series, max_pixels)
                return described(page, values, "none", None)
            if stacked is False:
                refuse_unchosen(path, file, series)
            values = _page_values(path, page, max_pixels)
            further = further_images(file, page, series)
            return described(page, values, alpha_of(page, values.shape[2]), further)


def tiff_layout(path: Path) -> tuple[tuple[int, int], int]:
    """(height, width) of the first image as stored, and its orientation. Decodes no pixels.

    Raises:
        DataError: D101 damaged, D131 unreadable.
    """
    with errors_explained(path, DAMAGED), open_regular(path, in_parts=True) as stream:
        import tifffile

        with tifffile.TiffFile(stream) as file:
            page = first_page(file)
            return (int(page.imagelength), int(page.imagewidth)), _orientation(page)


def differing_page(path: Path, max_pixels: int) -> bool:
    """Whether a TIFF file holds a further page or frame whose values differ from those of the first image.

    Raises:
        DataError: As `read_tiff`.
    """
    with errors_explained(path, DAMAGED), open_regular(path) as stream:
        import tifffile

        with tifffile.TiffFile(stream) as file:
            follow_pages(file)
            first = first_page(file)
            values = _page_values(path, first, max_pixels)
            for page in _content_pages(file):
                if page.shape != first.shape or page.dtype != first.dtype:
                    return True
                if not np.array_equal(_page_values(path, page, max_pixels), values):
                    return True
            series = file.series[0]
            if int(np.prod(series.shape)) <= values.size or len(file.pages) > 1:
                return False
            require_room(path, math.prod(series.shape) * np.dtype(series.dtype).itemsize)
            frames = series.asarray(maxworkers=1).reshape(-1, *first.shape)
            return any(not np.array_equal(frame, frames[0]) for frame in frames)


def stack_in_words(path: Path) -> str:
    """The axes of a stack and their lengths, ` (OME-TIFF: Z 5, C 2, Y 512, X 512)`; empty for other files.

    Only headers are read. What cannot be read is told elsewhere.
    """
    if not is_tiff(path):
        return ""
    try:
        with open_regular(path) as stream:
            import tifffile

            with tifffile.TiffFile(stream) as file:
                return f" ({_axes_in_words(file, file.series[0])})"
    except Exception:  # tifffile raises exceptions of many types for damaged files
        return ""


def _axes_in_words(file: TiffFile, series: TiffPageSeries) -> str:
    # Without metadata, all that is known is that pages follow each other.
    names = {"I": "pages", "Q": "pages", "S": "samples"}
    axes = (f"{names.get(axis, axis)} {length}" for axis, length in zip(series.axes, series.shape, strict=True))
    kind = "OME-TIFF" if file.is_ome else "ImageJ" if file.is_imagej else "TIFF"
    return f"{kind}: {', '.join(axes)}"


def is_plane_stack(series: TiffPageSeries) -> bool:
    """Whether a series has planes along several axes, such as depth and channels."""
    return series.ndim > 3 and series.axes.endswith("YX") and "S" not in series.axes


def refuse_unchosen(path: Path, file: TiffFile, series: TiffPageSeries) -> None:
    """Refuse a stack whose metadata says that its planes are no frames of a film: nobody wants just the first.

    Raises:
        DataError: D105, with the axes and the way to choose planes.
    """
    planes = math.prod(series.shape[:-2])
    if (file.is_ome or file.is_imagej) and series.axes.endswith("YX") and planes > 1:
        raise DataError(
            "D105",
            f"{printable(path)}: a stack of {planes} planes ({_axes_in_words(file, series)}); expected one image, or a "
            "choice of planes",
            "choose planes by their number from 0 on, counted with the last of the other axes changing first: "
            "'data.channels=[0]' for the first",
        )


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the first of three axes holds the channels, judged by their lengths alone."""
    return shape[0] < shape[2] and shape[0] <= _MAX_BANDS


def check_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype, first: bool, max_pixels: int) -> None:
    """Refuse arrays that are not an image or have too many pixels; with `first`, the first axis holds the channels.

    Raises:
        DataError: D101 no pixels, D105 not numbers or not two or three axes, D120 too many pixels.
    """
    if dtype.kind not in "buif" or len(shape) not in (2, 3):
        raise DataError(
            "D105",
            f"{printable(path)}: the file holds {dtype} values of shape {list(shape)}; expected numbers of shape "
            "(height, width), (height, width, channels) or (channels, height, width)",
            "export one image per file",
        )
    require_pixels(path, shape)
    height, width = (shape[1:] if first else shape)[:2]
    pixels = height * width
    if pixels > max_pixels:
        raise too_many_pixels(path, pixels, max_pixels)


def channels_last(values: np.ndarray, first: bool) -> np.ndarray:
    """(H, W, C) from (H, W), (H, W, C) or, with `first`, (C, H, W)."""
    if values.ndim == 2:
        return values[..., None]
    return np.moveaxis(values, 0, 2) if first else values


def first_page(file: TiffFile) -> TiffPage:
    """The page of the first image."""
    page: Any = file.pages[0]
    return page


def follow_pages(file: TiffFile) -> None:
    """Find all pages of a TIFF file: only then does tifffile notice a chain of pages that leads back into itself."""
    len(file.pages)


def needs_conversion(page: TiffPage) -> bool:
    """Whether the colours are neither grey, a palette, RGB nor bands, so that Pillow has to convert them."""
    if page.compression in JPEG:
        return page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    # 5 CMYK, 6 YCbCr, 8 CIELab, 9 ICCLab, 10 ITULab, 32844 and 32845 LogL and LogLuv.
    return page.photometric in (5, 6, 8, 9, 10, 32844, 32845)


def is_stack_of_bands(file: TiffFile, series: TiffPageSeries) -> bool:
    """Whether pages are bands for sure: an array written by tifffile, or ImageJ's channels."""
    return "S" not in series.axes and (file.is_shaped is True or "C" in series.axes)


def _stack(path: Path, series: TiffPageSeries, max_pixels: int) -> np.ndarray:
    # Bands are stored per pixel (YXS), one after the other (SYX) or in separate pages (QYX, IYX); but QYX is also
    # written for arrays with any order of axes.
    first = series.axes.endswith("YX")
    if first and "S" not in series.axes and "C" not in series.axes:
        first = channels_first(series.shape)
    return channels_last(_checked(path, series, first, max_pixels), first)


def _planes(path: Path, series: TiffPageSeries, max_pixels: int) -> np.ndarray:
    """The planes of a stack (H, W, C), in the order of its axes."""
    dtype, size = np.dtype(series.dtype), tuple(int(length) for length in series.shape[-2:])
    check_shape(path, size, dtype, False, max_pixels)
    require_room(path, math.prod(series.shape) * dtype.itemsize)
    _check_tiles(series.keyframe, max_pixels)
    values = series.asarray(maxworkers=1)
    if values.shape[-2:] != size:
        raise ValueError(f"its planes have other sizes than {size[1]}x{size[0]}")
    return np.moveaxis(values.reshape(-1, *size), 0, 2)


def _page_values(path: Path, page: TiffPage, max_pixels: int) -> np.ndarray:
    if page.dtype is None:
        raise DataError(
            "D105",
            f"{printable(path)}: the file holds values of {page.bitspersample} bits in a form that is not supported",
            "export the image with 8, 16 or 32 bits per channel",
        )
    first = page.axes == "SYX"
    values = _checked(path, page, first, max_pixels)
    if values.dtype.byteorder not in "=|":
        values = values.astype(values.dtype.newbyteorder("="))
    return channels_last(values, first)


def _checked(path: Path, source: TiffPage | TiffPageSeries, first: bool, max_pixels: int) -> np.ndarray:
    """The values of a page or series, whose size is checked before they are decoded."""
    dtype = np.dtype(source.dtype)
    check_shape(path, source.shape, dtype, first, max_pixels)
    require_room(path, math.prod(source.shape) * dtype.itemsize)
    _check_tiles(source.keyframe, max_pixels)
    # One thread: callers already read several files at a time.
    values = source.asarray(maxworkers=1)
    # The pages of a damaged file can have other sizes than the first.
    check_shape(path, values.shape, values.dtype, first, max_pixels)
    return values


def _check_tiles(page: Any, max_pixels: int) -> None:
    # A tile may claim any size, whatever the size of the image.
    part = page.tilelength * page.tilewidth if page.is_tiled else 0
    if part > max_pixels:
        raise ValueError(f"a tile claims to have {page.tilelength}x{page.tilewidth} pixels")


def _content_pages(file: TiffFile) -> Iterator[TiffPage]:
    """Pages after the first, without smaller copies and transparency masks of others."""
    if file.is_svs:
        return  # the other pages of a slide are smaller copies, its label and its surroundings, not always marked so
    for number in range(1, len(file.pages)):
        page: Any = file.pages[number]
        if not int(page.keyframe.subfiletype) & 5:
            yield page


def further_images(file: TiffFile, page: TiffPage, series: TiffPageSeries) -> tuple[int, ...] | None:
    """Shape of everything in a file if there are images after the first, otherwise None."""
    # ImageJ describes only the first of many frames, which follow each other.
    if len(file.pages) == 1 and int(np.prod(series.shape)) > int(np.prod(page.shape)):
        return tuple(int(length) for length in series.shape)
    if next(_content_pages(file), None) is None:
        return None
    return (len(file.pages), *(int(length) for length in page.shape))


def alpha_of(page: TiffPage, channels: int) -> Alpha:
    """Whether the last of a page's channels is transparency, and of which kind."""
    colors = 3 if page.photometric == RGB else 1
    extra = tuple(int(value) for value in page.extrasamples or ())
    if channels != colors + 1:
        return "none"
    if not extra:
        # Old writers leave the tag out for RGBA.
        return "straight" if page.photometric == RGB else "none"
    if extra[-1] in _STRAIGHT:
        return "straight"
    return "premultiplied" if extra[-1] in _PREMULTIPLIED else "none"


def _orientation(page: TiffPage) -> int:
    return of_tiff_tags(page.tags.valueof(274), page.tags.valueof(700))


def described(page: TiffPage, values: np.ndarray, alpha: Alpha, further: tuple[int, ...] | None) -> StoredTiff:
    """Values (H, W, C) of a page, or of any rectangle of it, with what the page says about them.

    Raises:
        ValueError: The palette has fewer colours than the values need.
    """
    photometric = int(page.photometric)
    if 262 not in page.tags and page.compression not in _FAX:
        # Without the tag, libtiff assumes this.
        photometric = RGB if values.shape[2] >= 3 else BLACK_IS_ZERO
    colormap = getattr(page, "colormap", None)
    palette = None
    if photometric == PALETTE and colormap is not None:
        # Colours have 16 bits; some writers fill only the lower 8.
        deep = np.asarray(colormap, np.uint16)
        palette = (deep >> 8 if deep.max(initial=0) > 255 else deep).astype(np.uint8).T
        if values.size and len(palette) <= values[..., 0].max():
            raise ValueError(f"its palette has {len(palette)} colours; its values reach {values[..., 0].max()}")
    bits = page.bitspersample
    return StoredTiff(
        values=values,
        photometric=photometric,
        alpha=alpha,
        bits=int(bits if isinstance(bits, int) else max(bits)),
        palette=palette,
        orientation=_orientation(page),
        further=further,
        is_lossy=page.compression in JPEG,
    )
