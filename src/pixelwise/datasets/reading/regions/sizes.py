"""Sizes of masks that are read in parts, against those of their images: what a file states costs nothing to compare."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

import msgspec

from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.fitting import rotation_error
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.mosaics import is_mosaic
from pixelwise.datasets.reading.regions.png_masks import stated_size
from pixelwise.datasets.samples import Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable


def stated_sizes(sample: Sample, reading: Reading, known: Container[Path] = ()) -> dict[Path, Size]:
    """The sizes that PNG masks state which have to be stored in tiles before they can be read in parts.

    Args:
        sample: The pair.
        reading: Reading options.
        known: Masks that were opened already.

    Returns:
        (height, width) by path, upright unless `reading.exif` is `ignore`.

    Raises:
        DataError: D101 damaged, D131 unreadable.
    """
    sizes = {path: stated_size(path, reading) for path in dict.fromkeys(sample.mask_files) if path not in known}
    return {path: size for path, size in sizes.items() if size is not None}


def refuse_other_sizes(sample: Sample, reading: Reading, known: Container[Path] = ()) -> None:
    """Refuse PNG masks of another size than their image before they are stored in tiles, however long that would take.

    Args:
        sample: The pair.
        reading: Reading options.
        known: Masks that were opened already.

    Raises:
        DataError: D110 or D201, the sizes differ; D101 or D131, one of the files cannot be read.
    """
    stated = stated_sizes(sample, reading, known)
    if not stated:
        return
    if is_mosaic(sample.image_path):
        with ImageRegions(sample.image_path, reading) as image:
            size, orientation = image.size, image.orientation
    else:
        stored, upright = image_sizes(sample.image_path)
        size, orientation = upright if reading.exif == "apply" else stored, 1
    found = sizes_error(sample, size, stated, orientation, reading)
    if found is not None:
        raise found[1]


def sizes_error(
    sample: Sample, image: Size, masks: Mapping[Path, Size], orientation: int, reading: Reading
) -> tuple[Path, DataError] | None:
    """The first mask whose size is not that of its image, with its error; see `other_size`."""
    for path, size in masks.items():
        error = other_size(msgspec.structs.replace(sample, mask_path=path), image, size, orientation, reading)
        if error is not None:
            return path, error
    return None


def other_size(
    sample: Sample, image: tuple[int, int], mask: tuple[int, int], orientation: int, reading: Reading
) -> DataError | None:
    """What is wrong with a mask whose size is not that of its image: D110 or D201; None if it is.

    Args:
        sample: The pair; the message names its paths.
        image: (height, width) of the image, to which the mask is never resized here.
        mask: (height, width) of the mask.
        orientation: Orientation that the image states, 1..8.
        reading: Reading options.
    """
    if mask == image:
        return None
    found = rotation_error(sample, image, mask, orientation, reading)
    if found is not None:
        return found
    return DataError(
        "D201",
        f"{printable(sample.mask_path or '')}: the mask is {mask[1]}x{mask[0]} (WxH), its image "
        f"{image[1]}x{image[0]}; an image that is read in parts needs a mask of its own size",
        "export the mask at image size",
    )
