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
from pixelwise.storage import printable

_POSITION_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams."""
_PLACING_TAGS = (33922, 34264)
"""A file has a position if it has one of these."""
NODATA_TAG = 42113
"""GDAL's tag for the value of pixels without data, as text."""
_RASTER_KEY, _IS_POINT = 1025, 2
_SYSTEM_KEYS = (3072, 2048)
"""Keys of projected and of geographic coordinate systems."""
_MODEL_KEY, _PROJECTED, _GEOGRAPHIC = 1024, 1, 2
_NAME_KEYS = (3073, 1026, 2049)
"""Keys of the names of projected systems, of rasters and of geographic systems."""
_LENGTH_KEY, _ANGLE_KEY, _DEGREE = 3076, 2054, 9102
_UNITS = {9001: "metre", 9002: "foot", 9003: "US survey foot", _DEGREE: "degree"}
_TEXTS = 34737
_LOWEST_CODE, _HIGHEST_CODE = 1024, 32766
"""Codes of EPSG; the others stand for systems that the file describes itself."""
_MATRIX_LENGTH, _TIE_LENGTH = 16, 6
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


class MissingPixels(NamedTuple):
    """What a file says of its pixels without data: those whose bands all have one value, or that are transparent.

    Attributes:
        value: Value of bands without data, by GDAL's tag; None if the file has no such tag.
        transparent: For each of the last channels, which are no bands, whether 0 in it is full transparency.
    """

    value: float | None
    transparent: tuple[bool, ...]

    def among(self, values: np.ndarray) -> np.ndarray:
        """Pixels without data, bool (H, W), among stored values (H, W, C) of all channels."""
        first = values.shape[2] - len(self.transparent)
        bands = [number for number in range(values.shape[2]) if number < first or not self.transparent[number - first]]
        missing = np.zeros(values.shape[:2], bool)
        for number, transparent in enumerate(self.transparent, first):
            if transparent:
                missing |= values[..., number] == 0
        if self.value is not None:
            lacking = np.ones(values.shape[:2], bool)
            for number in bands:
                one = values[..., number]
                lacking &= np.isnan(one) if math.isnan(self.value) else one == self.value
            missing |= lacking
        return missing


def read_georeference(path: Path, *, is_tiff: bool, pixels: bool = True) -> Georeference | None:
    """The position of an image that was read without an error; None if it has none.

    Args:
        path: The image file.
        is_tiff: Whether its content is a TIFF file.
        pixels: Whether to look for pixels without data, for which the image is decoded once more.

    Raises:
        ValueError: The file has a position that cannot be read; the message says why.
    """
    found = _from_tags(path, pixels) if is_tiff else None
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


class Placement(NamedTuple):
    """Where the corners of pixels lie on the map: x = a column + b row + c, y = d column + e row + f.

    Attributes:
        affine: a, b, c, d, e, f; column and row count from the upper left corner of the image.
        epsg: Code of the coordinate system; None if the file does not give one.
    """

    affine: tuple[float, float, float, float, float, float]
    epsg: int | None = None

    @property
    def pixel_size(self) -> float:
        """Length of a pixel's side on the map: the root of its area."""
        a, b, _, d, e, _ = self.affine
        return math.sqrt(abs(a * e - b * d))

    def points(self, corners: np.ndarray) -> np.ndarray:
        """Coordinates float64 (N, 2) of corners (N, 2) of pixels, given as (column, row)."""
        a, b, c, d, e, f = self.affine
        columns, rows = corners[:, 0].astype(np.float64), corners[:, 1].astype(np.float64)
        return np.stack([a * columns + b * rows + c, d * columns + e * rows + f], axis=1)


def placement_of(place: Georeference) -> Placement | None:
    """Where the pixels of an image lie on the map; None if its tags or its world file do not say so.

    Rasters whose tags place the centres of pixels (`PixelIsPoint`) and world files, which do so too, are shifted by
    half a pixel.
    """
    values = {code: value for code, _, _, value, _ in place.tags}
    keys = _geo_keys(values.get(34735))
    epsg = next((keys[key] for key in _SYSTEM_KEYS if _LOWEST_CODE <= keys.get(key, 0) <= _HIGHEST_CODE), None)
    half = keys.get(_RASTER_KEY) == _IS_POINT
    matrix, scale, ties = (values.get(code) for code in (34264, 33550, 33922))
    if isinstance(matrix, tuple) and len(matrix) == _MATRIX_LENGTH:
        affine = (matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7])
    elif isinstance(scale, tuple) and isinstance(ties, tuple) and len(ties) == _TIE_LENGTH:
        column, row, _, x, y, _ = ties
        affine = (scale[0], 0.0, x - column * scale[0], 0.0, -scale[1], y + row * scale[1])
    elif place.world is not None:
        lines = place.world.decode("ascii", "replace").split()
        try:
            a, d, b, e, c, f = map(float, lines[:6])
        except ValueError:
            return None
        affine, half = (a, b, c, d, e, f), True
    else:
        return None
    a, b, c, d, e, f = (float(value) for value in affine)
    if half:
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return Placement((a, b, c, d, e, f), epsg)


class MapSystemName(NamedTuple):
    """The coordinate system of an image, in words.

    Attributes:
        name: `EPSG:32633 (WGS 84 / UTM zone 33N)`, with what the file gives of it; `unknown` if that is nothing.
        unit: `metre`, `foot`, `US survey foot` or `degree`; empty if the file does not say so.
    """

    name: str
    unit: str


def system_of(place: Georeference) -> MapSystemName:
    """The coordinate system that the tags of an image name."""
    values = {code: value for code, _, _, value, _ in place.tags}
    keys, words = _geo_keys(values.get(34735)), _geo_words(values.get(34735), values.get(34737))
    epsg = next((keys[key] for key in _SYSTEM_KEYS if _LOWEST_CODE <= keys.get(key, 0) <= _HIGHEST_CODE), None)
    name = next((words[key] for key in _NAME_KEYS if words.get(key)), "")
    if epsg is not None:
        name = f"EPSG:{epsg} ({name})" if name else f"EPSG:{epsg}"
    projected = keys.get(_MODEL_KEY, 0) == _PROJECTED or _SYSTEM_KEYS[0] in keys
    geographic = not projected and (keys.get(_MODEL_KEY, 0) == _GEOGRAPHIC or _SYSTEM_KEYS[1] in keys)
    unit = keys.get(_ANGLE_KEY, _DEGREE) if geographic else keys.get(_LENGTH_KEY, 0)
    return MapSystemName(name or "unknown", _UNITS.get(unit, ""))


def _geo_words(directory: object, text: object) -> dict[int, str]:
    """The texts in a GeoKeyDirectory: key -> text."""
    if not isinstance(directory, tuple) or not isinstance(text, str):
        return {}
    rows = [directory[first : first + 4] for first in range(4, len(directory) - 3, 4)]
    return {
        int(key): printable(text[start : start + length].strip("|\0 "))
        for key, where, length, start in rows
        if where == _TEXTS
    }


def _geo_keys(directory: object) -> dict[int, int]:
    """The short values in a GeoKeyDirectory: key -> value."""
    if not isinstance(directory, tuple):
        return {}
    rows = [directory[first : first + 4] for first in range(4, len(directory) - 3, 4)]
    return {int(key): int(value) for key, where, _, value in rows if where == 0}


def _small_file(path: Path) -> bytes:
    """Content of a world or projection file, which has at most a few thousand characters."""
    if path.stat().st_size > 1 << 16:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; expected at most {1 << 16}")
    return path.read_bytes()


def _from_tags(path: Path, pixels: bool) -> Georeference | None:
    # Imported here: it takes 50 ms, which only TIFF files need to pay.
    import tifffile

    try:
        with open_regular(path, in_parts=True) as stream, tifffile.TiffFile(stream) as file:
            page = file.pages.first
            if not any(code in page.tags for code in _PLACING_TAGS):
                return None
            tags = tuple(
                (code, int(tag.dtype), int(tag.count), tag.value, True)
                for code in _POSITION_TAGS
                if (tag := page.tags.get(code)) is not None
            )
            turned = of_tiff_tags(page.tags.valueof(274), page.tags.valueof(700)) != 1
            return Georeference(tags, missing=_missing(page) if pixels else None, turned=turned)
    except Exception as error:  # tifffile raises exceptions of many types for damaged tags
        raise ValueError(str(error) or type(error).__name__) from error


def missing_pixels(page: Any) -> MissingPixels | None:
    """What a page of a TIFF file, as tifffile opens it, says of pixels without data; None if it marks none.

    Raises:
        ValueError: The value for missing data is not a number.
    """
    import tifffile

    tag = page.tags.get(NODATA_TAG)
    alpha = [kind in (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA) for kind in page.extrasamples]
    if tag is None and not any(alpha):
        return None
    return MissingPixels(None if tag is None else float(str(tag.value).strip("\0 ")), tuple(alpha))


def _missing(page: Any) -> np.ndarray | None:
    """Pixels without data, bool (H, W); None if there are none."""
    import tifffile

    stated = missing_pixels(page)
    if stated is None:
        return None
    values = page.asarray(maxworkers=1)
    if values.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        values = np.moveaxis(values, 0, 2)
    missing = stated.among(values.reshape(*values.shape[:2], -1))
    return missing if missing.any() else None
