"""PNG images from top to bottom, some rows at a time, for whoever keeps the pixels elsewhere than in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pixelwise.datasets.reading.files import errors_explained, open_regular, opened_regular
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.limits import require_pixels, too_many_pixels
from pixelwise.datasets.reading.orientation import png_orientation
from pixelwise.datasets.reading.regions.png_passes import strip_files
from pixelwise.datasets.reading.regions.png_strips import DAMAGED, SIGNATURE, read_header, require_pixel_data
from pixelwise.datasets.samples import Reading
from pixelwise.recipes.sizes import Size
from pixelwise.storage.stores.members import in_memory


class StoredPng(NamedTuple):
    """What a PNG file says of its pixels.

    Attributes:
        size: (height, width) as stored.
        orientation: Orientation by which it is turned upright, 1 (not at all) to 8.
        interlaced: Whether its rows are stored in passes.
    """

    size: Size
    orientation: int
    interlaced: bool


def stored_png_image(path: Path, reading: Reading) -> StoredPng | None:
    """What a PNG file says of its pixels, none of which is decoded; None for other files.

    Raises:
        DataError: D101 damaged, D120 more pixels than `reading.max_pixels`, D131 unreadable.
    """
    with errors_explained(path, DAMAGED), open_regular(path) as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            return None
        stream.seek(0)
        header = read_header(stream)
        require_pixels(path, header.size)
        require_pixel_data(stream, header)
        orientation = png_orientation(stream) if reading.exif == "apply" else 1
    if (pixels := header.size[0] * header.size[1]) > reading.max_pixels:
        raise too_many_pixels(path, pixels, reading.max_pixels)
    return StoredPng(header.size, orientation, header.interlaced)


def image_bands(path: Path, reading: Reading, rows: int, passes: BinaryIO | None) -> Iterator[np.ndarray]:
    """The pixels of a PNG image in bands of at most some rows, from top to bottom, not turned.

    Together they are what `read_image` gives with `exif=ignore`: each band is decoded as an image of its own.

    Args:
        path: A PNG file.
        reading: Reading options; `exif` and `max_pixels` are not applied.
        rows: Largest number of rows of a band.
        passes: Empty file for the pixels of an interlaced file meanwhile; None for other files.

    Yields:
        uint8 (h, W, C).

    Raises:
        DataError: As `read_image`.
        OSError: `passes` cannot be written.
    """
    with errors_explained(path, DAMAGED):
        stream = opened_regular(path)
    with stream:
        with errors_explained(path, DAMAGED):
            header = read_header(stream)
        for one in strip_files(path, stream, header, rows, passes):
            yield read_image(in_memory(path, one), reading)
