"""Positions that are given as numbers and as text (WKT 1 and 2), written as the tags of GeoTIFF."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pixelwise.datasets.reading.georeference import Georeference

_PROJECTED = {"PROJCS", "PROJCRS", "PROJECTEDCRS"}
_GEOGRAPHIC = {"GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS"}
_AROUND = {"COMPD_CS", "COMPOUNDCRS", "BOUNDCRS", "SOURCECRS"}
"""What holds a horizontal system: it is the first one within."""
_TOKEN = re.compile(r'"(?:[^"]|"")*"|[\[\](),]|[^\s\[\](),"]+')
_LONGEST = 1 << 16
"""Largest number of characters of a text that is looked at."""
_MOST_NESTED = 32
_SCALE, _TIE, _MATRIX, _KEYS = 33550, 33922, 34264, 34735
_RASTER_KEY, _IS_AREA = 1025, 1
_DOUBLE, _SHORT = 12, 3
"""TIFF's types of numbers."""
_HIGHEST_CODE = 32766
_NAMED = re.compile(
    r"(?:EPSG:|urn:ogc:def:crs:EPSG:[\d.]*:|https?://www\.opengis\.net/def/crs/EPSG/[\d.]+/)([0-9]{4,5})", re.I
)
"""A system that is named by its code alone."""
_GEOGRAPHIC_CODES, _PROJECTED_CODES = range(4000, 5000), (*range(20000, 32761), 3857)
"""What kind of system a code means: the ranges of the GeoTIFF specification 1.0, and the one of maps on the web."""


class MapSystem(NamedTuple):
    """A coordinate system of EPSG.

    Attributes:
        code: Its number.
        projected: Whether it is projected; otherwise it is geographic.
    """

    code: int
    projected: bool


def map_system(text: str) -> MapSystem | None:
    """The system that a text means, by the code of EPSG in it; None without any, or if only a registry knows it.

    Args:
        text: WKT, or a code as in `EPSG:32633` and `urn:ogc:def:crs:EPSG::32633`, if its number says what kind it is.
    """
    named = _NAMED.fullmatch(text.strip()) if len(text) < 100 else None
    if named is not None:
        code = int(named[1])
        known = code in _GEOGRAPHIC_CODES or code in _PROJECTED_CODES
        return MapSystem(code, projected=code in _PROJECTED_CODES) if known else None
    node = _tree(text[:_LONGEST])
    while node is not None and node[0] in _AROUND:
        node = next((part for part in node[1:] if isinstance(part, list) and part[0] in _SYSTEMS), None)
    if node is None or node[0] not in _PROJECTED | _GEOGRAPHIC:
        return None
    for part in node[1:]:
        if isinstance(part, list) and len(part) > 2 and part[0] in ("AUTHORITY", "ID") and part[1] == "EPSG":
            code = str(part[2])
            if re.fullmatch("[0-9]{4,5}", code) and int(code) <= _HIGHEST_CODE:
                return MapSystem(int(code), node[0] in _PROJECTED)
    return None


_SYSTEMS = _PROJECTED | _GEOGRAPHIC | _AROUND


def placed(affine: tuple[float, ...], keys: tuple[tuple[int, int, int, Any, bool], ...]) -> Georeference:
    """A position as tags of GeoTIFF.

    Args:
        affine: GDAL's numbers: x = a[0] + column a[1] + row a[2], y = a[3] + column a[4] + row a[5], at the corner of a
            pixel.
        keys: Tags that describe the coordinate system, of `system_tags` or of a file; empty if it is unknown.
    """
    x, across, x_down, y, y_across, down = affine
    if x_down == y_across == 0 and across > 0 > down:
        position: list[tuple[int, int, int, Any, bool]] = [
            (_SCALE, _DOUBLE, 3, (across, -down, 0.0), True),
            (_TIE, _DOUBLE, 6, (0.0, 0.0, 0.0, x, y, 0.0), True),
        ]
    else:
        matrix = (across, x_down, 0.0, x, y_across, down, 0.0, y, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        position = [(_MATRIX, _DOUBLE, 16, matrix, True)]
    return Georeference((*position, *(_of_areas(tag) for tag in keys)))


def system_tags(system: MapSystem) -> tuple[tuple[int, int, int, Any, bool], ...]:
    """The tag that names a coordinate system."""
    model, key = (1, 3072) if system.projected else (2, 2048)
    directory = (1, 1, 0, 3, 1024, 0, 1, model, _RASTER_KEY, 0, 1, _IS_AREA, key, 0, 1, system.code)
    return ((_KEYS, _SHORT, len(directory), directory, True),)


def _of_areas(tag: tuple[int, int, int, Any, bool]) -> tuple[int, int, int, Any, bool]:
    """A tag of keys whose position, if it is of the centres of pixels, becomes one of their corners."""
    if tag[0] != _KEYS or not isinstance(tag[3], tuple):
        return tag
    values = list(tag[3])
    for first in range(4, len(values) - 3, 4):
        if values[first] == _RASTER_KEY:
            values[first + 3] = _IS_AREA
    return (*tag[:3], tuple(values), tag[4])


def _tree(text: str) -> list[Any] | None:
    """WKT as lists of a keyword and its arguments; None if it is not WKT."""
    root: list[Any] = []
    stack = [root]
    for token in _TOKEN.findall(text):
        if token in "[(":
            if len(stack) > _MOST_NESTED or not stack[-1] or not isinstance(stack[-1][-1], str):
                return None
            stack[-1][-1] = [stack[-1][-1].upper()]
            stack.append(stack[-1][-1])
        elif token in "])":
            stack.pop()
            if not stack:
                return None
        elif token != ",":
            stack[-1].append(token.strip('"'))
    return root[0] if len(stack) == 1 and len(root) == 1 and isinstance(root[0], list) else None
