"""Positions of images on the map, and their pixels without data: GeoTIFF tags and world files.

The formats are those of the GeoTIFF standard (OGC 19-008), of GDAL's tag for missing data and of ESRI's world files. A
mask has the pixels of its image, so it has its position too, unless the image was turned.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.orientation import of_tiff_tags

_POSITION_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams."""
_PLACING_TAGS = (33922, 34264)
"""A file has a position if it has one of these."""
NODATA_TAG = 42113
"""GDAL's tag for the value of pixels without data, as text."""
_WORLD_ENDINGS = {
    ".jpg": (".jgw", ".jpgw"),
    ".jpeg": (".jgw", ".jpegw"),
    ".png": (".pgw", ".pngw"),
    ".tif": (".tfw", ".tifw"),
    ".tiff": (".tfw", ".tiffw"),
    ".bmp": (".bpw", ".bmpw"),
    ".webp": (".webpw",),
}


class Georeference(NamedTuple):
    """The position of an image on the map.

    Attributes:
        tags: GeoTIFF tags as tifffile writes them: (code, type, count, value, write once); empty if there are none.
        world: Content of the world file beside the image; None if there is none.
        projection: Content of the `.prj` file beside the image; None if there is none.
        missing: Pixels without data, bool (H, W) as stored; None if the file does not mark any.
        turned: Whether the upright image has other rows and columns than the file, which the tags refer to.
    """

    tags: tuple[tuple[int, int, int, Any, bool], ...] = ()
    world: bytes | None = None
    projection: bytes | None = None
    missing: np.ndarray | None = None
    turned: bool = False


def read_georeference(path: Path, *, is_tiff: bool) -> Georeference | None:
    """The position of an image that was read without an error; None if it has none.

    Args:
        path: The image file.
        is_tiff: Whether its content is a TIFF file.

    Raises:
        ValueError: The file has a position that cannot be read; the message says why.
    """
    found = _from_tags(path) if is_tiff else None
    if found is not None:
        return found
    for ending in (*_WORLD_ENDINGS.get(path.suffix.lower(), ()), ".wld"):
        beside = path.with_suffix(ending)
        if beside.is_file():
            projection = path.with_suffix(".prj")
            return Georeference(
                world=_small_file(beside), projection=_small_file(projection) if projection.is_file() else None
            )
    return None


def _small_file(path: Path) -> bytes:
    """Content of a world or projection file, which has at most a few thousand characters."""
    if path.stat().st_size > 1 << 16:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; expected at most {1 << 16}")
    return path.read_bytes()


def _from_tags(path: Path) -> Georeference | None:
    # Imported here: it takes 50 ms, which only TIFF files need to pay.
    import tifffile

    try:
        with open_regular(path) as stream, tifffile.TiffFile(stream) as file:
            page = file.pages.first
            if not any(code in page.tags for code in _PLACING_TAGS):
                return None
            tags = tuple(
                (code, int(tag.dtype), int(tag.count), tag.value, True)
                for code in _POSITION_TAGS
                if (tag := page.tags.get(code)) is not None
            )
            turned = of_tiff_tags(page.tags.valueof(274), page.tags.valueof(700)) != 1
            return Georeference(tags, missing=_missing(page), turned=turned)
    except Exception as error:  # tifffile raises exceptions of many types for damaged tags
        raise ValueError(str(error) or type(error).__name__) from error


def _missing(page: Any) -> np.ndarray | None:
    """Pixels whose bands all have the value of missing data, or that are fully transparent; None if none is marked."""
    import tifffile

    tag = page.tags.get(NODATA_TAG)
    alpha = [kind in (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA) for kind in page.extrasamples]
    if tag is None and not any(alpha):
        return None
    values = page.asarray(maxworkers=1)
    if values.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        values = np.moveaxis(values, 0, 2)
    values = values.reshape(*values.shape[:2], -1)
    colors = values.shape[2] - len(alpha)
    missing = np.zeros(values.shape[:2], bool)
    for position, transparent in enumerate(alpha, colors):
        if transparent:
            missing |= values[..., position] == 0
    if tag is not None:
        value = float(str(tag.value).strip("\0 "))
        bands = values[..., : colors or None]
        missing |= (np.isnan(bands) if math.isnan(value) else bands == value).all(axis=2)
    return missing if missing.any() else None
