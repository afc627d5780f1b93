"""Reading of images with any number of channels: TIFF files and NumPy arrays as uint8 (H, W, C).

`data.channels` selects the channels and their order. Values of more than 8 bits are mapped to 0..255 by
`data.input_range`, one range for all channels. Only 256 levels remain, so choose a range that covers the values that
matter, such as [0, 3000] for Sentinel-2 reflectances.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.datasets.reading.decoding import refuse_irregular
from pixelwise.datasets.reading.limits import no_room, require_pixels, require_room
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable

ARRAY_SUFFIX = ".npy"
# Errors in files are raised; without a handler tifffile would print them as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
# No sensor for this purpose has more bands: a longer axis is height or width.
_MAX_BANDS = 64


def read_bands(path: Path, reading: Reading) -> np.ndarray:
    """Read the selected channels of an image as uint8 (H, W, C), where C is the number of `reading.channels`.

    Args:
        path: TIFF file or NumPy array with axes (H, W), (H, W, C) or (C, H, W). An array does not say which: its first
            axis holds the channels if it is shorter than the last and at most 64.
        reading: Reading options with `channels` set.

    Raises:
        DataError: D101 damaged or with an unknown compression, D104 more than 8 bits and no `input_range`, D105 not
            numbers or not the axes above, D106 a missing channel, D120 too many pixels, D131 unreadable.
    """
    values = _load(path, reading.max_pixels)
    channels = reading.channels or ()
    if max(channels) >= values.shape[2]:
        raise DataError(
            "D106",
            f"{printable(path)}: the image has {values.shape[2]} channels (0..{values.shape[2] - 1}); "
            f"data.channels asks for {list(channels)}",
            "channels are counted from 0; select only channels that every image has",
        )
    return to_bytes(values[..., list(channels)], path, reading.input_range)


def bands_error(path: Path) -> DataError | None:
    """D105 for a TIFF file whose bands are not an RGB image, else None. Reads the file's header only."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            _follow_pages(file)
            series = file.series[0]
            if file.is_shaped and series.ndim == 3 and "S" not in series.axes:
                # An array written by tifffile, whose pages look like separate images.
                count = series.shape[0 if _channels_first(series.shape) else 2]
                return not_rgb_error(path, int(count), np.dtype(series.dtype))
            page = file.pages[0]
            count, dtype = int(getattr(page, "samplesperpixel", 1)), np.dtype(getattr(page, "dtype", np.uint8))
            colors = getattr(page, "photometric", None) == tifffile.PHOTOMETRIC.RGB
    except Exception:  # tifffile raises exceptions of many types for damaged headers
        return None
    if count < 2 or (colors and count <= 4 and dtype.kind == "u"):
        return None
    return not_rgb_error(path, count, dtype)


def array_without_channels(path: Path, max_pixels: int) -> DataError:
    """D105 for a NumPy array without selected channels; D101, D120 or D131 as in `read_bands`."""
    try:
        values = _load(path, max_pixels)
    except DataError as error:
        return error
    return not_rgb_error(path, values.shape[2], values.dtype, kind="NumPy array")


def not_rgb_error(path: Path, count: int, dtype: np.dtype, kind: str = "TIFF file") -> DataError:
    """D105 for an image with `count` bands of type `dtype` that cannot be read as RGB."""
    deep = "" if dtype == np.uint8 else ", and the values that become 0 and 255: data.input_range=[0, 10000], say"
    return DataError(
        "D105",
        f"{printable(path)}: the {kind} has {count} bands of {dtype}; expected an RGB image or a selection of bands",
        f"select the bands for the network, counted from 0: data.channels=[{','.join(map(str, range(count)))}] for all"
        + deep,
    )


def read_array_mask(path: Path, max_pixels: int) -> np.ndarray:
    """Read the mask in a NumPy array (`.npy`) as (H, W) integers: uint8 or uint16 if its values fit, else int64.

    Raises:
        DataError: D101 damaged, D120 too many pixels, D131 unreadable, D205 not (height, width) integers.
    """
    values = _load(path, max_pixels, mask=True)[..., 0]
    if values.dtype.kind == "b" or values.dtype == np.uint8:
        return values.astype(np.uint8)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low >= 0 and high <= 65535:
        return values.astype(np.uint8 if high <= 255 else np.uint16)
    return np.minimum(values, np.iinfo(np.int64).max).astype(np.int64)


def to_bytes(values: np.ndarray, path: Path, input_range: tuple[float, float] | None) -> np.ndarray:
    """Map numbers of any type to uint8 by `input_range`; uint8 without a range is unchanged. NaN becomes 0.

    Raises:
        DataError: D104, the values have more than 8 bits and `input_range` is None.
    """
    if values.dtype == np.uint8 and input_range is None:
        return np.ascontiguousarray(values)
    if input_range is None:
        # Finite values only: missing data is often NaN.
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        raise DataError(
            "D104",
            f"{printable(path)}: the image has {values.dtype} values {low:g}..{high:g}; expected 8 bits per channel "
            "(clipping would destroy the image)",
            "choose the values that become 0 and 255: for example, data.input_range=[0, 65535]",
        )
    low, high = input_range
    scaled = (np.nan_to_num(values.astype(np.float32), nan=low) - low) * (255 / (high - low))
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)


def _load(path: Path, max_pixels: int, *, mask: bool = False) -> np.ndarray:
    """The values of a file, (H, W, C)."""
    try:
        with reads(path):
            refuse_irregular(path)
            if mask:
                return _load_mask(path, max_pixels)
            if path.suffix.lower() == ARRAY_SUFFIX:
                # Mapped first, because a header can claim any shape; never unpickled.
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
                first = mapped.ndim == 3 and _channels_first(mapped.shape)
                _check(path, mapped.shape, mapped.dtype, first, max_pixels)
                return _channels_last(np.array(mapped), first)
            return _load_tiff(path, max_pixels)
    except DataError:
        raise
    except MemoryError as error:
        raise no_room(path) from error
    except OSError as error:
        raise DataError(
            "D131", f"{printable(path)}: cannot be read: {error.strerror or error}", "copy the file again"
        ) from error
    except Exception as error:
        raise DataError(
            "D101",
            f"{printable(path)}: truncated or damaged, or not a TIFF file or NumPy array: {error}",
            "copy or export the file again, or remove it together with its mask",
        ) from error


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the first of three axes holds the channels, judged by their lengths alone."""
    return shape[0] < shape[2] and shape[0] <= _MAX_BANDS


def _load_mask(path: Path, max_pixels: int) -> np.ndarray:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.ndim != 2 or mapped.dtype.kind not in "bui":
        raise DataError(
            "D205",
            f"{printable(path)}: the mask is an array of {mapped.dtype} and shape {list(mapped.shape)}; expected "
            "integers of shape (height, width)",
            "save one class id per pixel: for example np.save(path, probabilities.argmax(0).astype(np.uint8))",
        )
    _check(path, mapped.shape, np.dtype(np.uint8), False, max_pixels)
    return np.array(mapped)[..., None]


def _load_tiff(path: Path, max_pixels: int) -> np.ndarray:
    # Imported here: it takes 50 ms, which only such images need to pay.
    import tifffile

    with tifffile.TiffFile(path) as file:
        _follow_pages(file)
        series = file.series[0]
        # Bands are stored per pixel (YXS), one after the other (SYX) or in separate pages (QYX, IYX); but QYX is also
        # written for arrays with any order of axes.
        first = series.ndim == 3 and series.axes.endswith("YX")
        if first and "S" not in series.axes:
            first = _channels_first(series.shape)
        _check(path, series.shape, np.dtype(series.dtype), first, max_pixels)
        page = series.keyframe
        # A tile may claim any size, whatever the size of the image.
        part = page.tilelength * page.tilewidth if page.is_tiled else 0
        if part > max_pixels:
            raise ValueError(f"a tile claims to have {page.tilelength}x{page.tilewidth} pixels")
        # One thread: callers already read several files at a time.
        values = series.asarray(maxworkers=1)
        # The pages of a damaged file can have other sizes than the first.
        _check(path, values.shape, values.dtype, first, max_pixels)
        return _channels_last(values, first)


def _follow_pages(file: Any) -> None:
    """Find all pages of a TIFF file: only then does tifffile notice a chain of pages that leads back into itself."""
    len(file.pages)


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype, first: bool, max_pixels: int) -> None:
    """Refuse arrays that are not an image or have too many pixels; with `first`, the first axis holds the channels."""
    if dtype.kind not in "uif" or len(shape) not in (2, 3):
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
        raise DataError(
            "D120",
            f"{printable(path)}: {pixels / 1e6:.1f} million pixels; data.max_pixels allows {max_pixels / 1e6:.1f} "
            "million",
            f"if the image is meant to be this large, set data.max_pixels={pixels}",
        )
    require_room(path, math.prod(shape) * dtype.itemsize)


def _channels_last(values: np.ndarray, first: bool) -> np.ndarray:
    """(H, W, C) from (H, W), (H, W, C) or, with `first`, (C, H, W)."""
    if values.ndim == 2:
        return values[..., None]
    return np.moveaxis(values, 0, 2) if first else values
