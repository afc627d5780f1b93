"""Reading of images with any number of channels: NumPy arrays, and what is wrong with files whose channels are unclear.

`data.channels` selects the channels and their order. Values of more than 8 bits are mapped to 0..255 by
`data.input_range`, one range for all channels. Only 256 levels remain, so choose a range that covers the values that
matter, such as [0, 3000] for Sentinel-2 reflectances.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelwise.datasets.reading.files import errors_explained, refuse_irregular
from pixelwise.datasets.reading.limits import require_room
from pixelwise.datasets.reading.normal_form import Normalised, Picture, normalise, picture_of_tiff
from pixelwise.datasets.reading.orientation import turned_upright
from pixelwise.datasets.reading.tiff import StoredTiff, channels_first, channels_last, check_shape
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable
from pixelwise.storage.stores.members import Member

ARRAY_SUFFIX = ".npy"


def pixels_of_array(path: Path, reading: Reading) -> Normalised:
    """The selected channels of a NumPy array in the normal form.

    Args:
        path: Array with axes (H, W), (H, W, C) or (C, H, W). It does not say which: its first axis holds the channels
            if it is shorter than the last and at most 64.
        reading: Reading options with `channels` set.

    Raises:
        DataError: D101 damaged, D104 more than 8 bits and no `input_range`, D105 not numbers or not the axes above,
            D106 a missing channel, D120 too many pixels, D131 unreadable, D151 no memory for it.
    """
    return normalise(Picture(_load(path, reading.max_pixels), is_bands=True), reading, printable(path))


def pixels_of_tiff(stored: StoredTiff, path: Path, reading: Reading, kind: str = "TIFF file") -> Normalised:
    """The normal form of a TIFF image, upright unless `reading.exif` is `ignore`.

    Args:
        stored: The stored values, and what they mean.
        path: The file, for messages.
        reading: Reading options.
        kind: What the file is, for messages.

    Raises:
        DataError: D104 and D106 as `normalise`, D105 bands that are not a picture and no `channels`.
    """
    if reading.channels is None and not stored.is_picture:
        raise not_rgb_error(path, stored.values.shape[2], stored.values.dtype, kind)
    found = normalise(picture_of_tiff(stored), reading, printable(path))
    return found._replace(pixels=turned_upright(found.pixels, stored.orientation if reading.exif == "apply" else 1))


def array_without_channels(path: Path, max_pixels: int) -> DataError:
    """D105 for a NumPy array without selected channels; D101, D120 or D131 as in `pixels_of_array`."""
    try:
        values = _load(path, max_pixels)
    except DataError as error:
        return error
    return not_rgb_error(path, values.shape[2], values.dtype, kind="NumPy array")


def not_rgb_error(path: Path, count: int, dtype: np.dtype, kind: str = "TIFF file") -> DataError:
    """D105 for an image with `count` bands of type `dtype` that cannot be read as RGB."""
    deep = "" if dtype == np.uint8 else ", and the values that become 0 and 255: 'data.input_range=[0, 10000]', say"
    return DataError(
        "D105",
        f"{printable(path)}: the {kind} has {count} bands of {dtype}; expected an RGB image or a selection of bands",
        f"select the bands for the network, from 0 on: 'data.channels=[{','.join(map(str, range(count)))}]' for all"
        + deep,
    )


def read_array_mask(path: Path, max_pixels: int) -> np.ndarray:
    """Read the mask in a NumPy array (`.npy`) as (H, W) integers; see `integers`.

    Raises:
        DataError: D101 damaged, D120 too many pixels, D131 unreadable, D205 not (height, width) or not whole numbers.
    """
    with _array_of(path):
        mapped = _mapped(path)
        if mapped.ndim != 2 or mapped.dtype.kind not in "buif":
            raise DataError(
                "D205",
                f"{printable(path)}: the mask is an array of {mapped.dtype} and shape {list(mapped.shape)}; expected "
                "integers of shape (height, width)",
                "save one class id per pixel: for example np.save(path, probabilities.argmax(0).astype(np.uint8))",
            )
        check_shape(path, mapped.shape, mapped.dtype, False, max_pixels)
        require_room(path, mapped.nbytes)
        return integers(np.array(mapped), path)


def integers(values: np.ndarray, path: Path) -> np.ndarray:
    """Ids in an integer type: uint8 or uint16 if all fit, else int64, or uint64 for what only that holds.

    Args:
        values: Stored numbers of a mask; whole floating-point numbers and truth values (0 and 1) are ids, too.
        path: The file, for messages.

    Raises:
        DataError: D205, numbers that are not whole.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        # Beyond this limit, rounding to a floating-point number may leave the range of integers.
        wide = values.astype(np.float64)
        whole = np.isfinite(wide) & (np.floor(wide) == wide) & (np.abs(wide) <= 2.0**63 - 1024)
        if not whole.all():
            fractions = int(values.size - np.count_nonzero(whole))
            raise DataError(
                "D205",
                f"{printable(path)}: the mask holds {values.dtype} values, of which {fractions} px are not whole "
                f"numbers, such as {values[~whole][0]:g}; expected class ids",
                "export whole numbers: the argmax of probabilities, and a number such as 255 in place of NaN",
            )
        values = values.astype(np.int64)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low >= 0 and high <= 65535:
        return values.astype(np.uint8 if high <= 255 else np.uint16)
    return values.astype(np.int64 if high < 2**63 else np.uint64)


def array_size(path: Path) -> tuple[int, int]:
    """(height, width) of the image in a NumPy array, by its header.

    Raises:
        DataError: D101 damaged, D105 not an image, D131 unreadable.
    """
    with _array_of(path):
        mapped = _mapped(path)
        first = mapped.ndim == 3 and channels_first(mapped.shape)
        check_shape(path, mapped.shape, mapped.dtype, first, mapped.size)
        height, width = (mapped.shape[1:] if first else mapped.shape)[:2]
        return int(height), int(width)


def _load(path: Path, max_pixels: int) -> np.ndarray:
    """The values of an array, (H, W, C)."""
    with _array_of(path):
        # Mapped first, because a header can claim any shape; never unpickled.
        mapped = _mapped(path)
        first = mapped.ndim == 3 and channels_first(mapped.shape)
        check_shape(path, mapped.shape, mapped.dtype, first, max_pixels)
        require_room(path, mapped.nbytes)
        return channels_last(np.array(mapped), first)


def _mapped(path: Path) -> np.ndarray:
    """The array as it lies in the file: a header can claim any shape, and only values that exist are looked at."""
    if not isinstance(path, Member) or path.place is None:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    content = path.read_bytes()
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    values = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")


@contextlib.contextmanager
def _array_of(path: Path) -> Iterator[None]:
    """Context that reads an array: what is not a regular file is refused, and all errors are explained."""
    with errors_explained(path, "truncated or damaged, or not a NumPy array"), reads(path):
        refuse_irregular(path)
        yield
