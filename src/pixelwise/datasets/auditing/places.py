"""Where the images of a data set lie on the map: coordinate systems, sizes of pixels, bands and missing pixels."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.auditing.examination import relative_name
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.reading.files import open_regular
from pixelwise.datasets.reading.georeference import (
    Georeference,
    missing_pixels,
    placement_of,
    read_georeference,
    system_of,
)
from pixelwise.datasets.samples import Dataset
from pixelwise.storage.names import counted

_LOOKED_AT = 64
"""Number of images of which missing pixels are counted."""
_MOST_PIXELS = 1 << 22
"""Number of pixels up to which an image without overviews is decoded for that."""
_UTM = (range(32601, 32661), range(32701, 32761))
"""Codes of UTM zones on WGS 84, which are one system in parts: pixels have the same size and meaning in all of them."""


class MapSystem(msgspec.Struct, frozen=True, kw_only=True):
    """The images of one coordinate system.

    Attributes:
        name: Code and name of the system, as far as the files give them.
        unit: Unit of its coordinates; empty if the files do not give it.
        images: Number of images.
        smallest: Side of the smallest pixel, in that unit: the root of its area.
        largest: Side of the largest pixel.
    """

    name: str
    unit: str
    images: int
    smallest: float
    largest: float


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a data set say of their places on the map.

    Attributes:
        images: Number of images with a position.
        systems: Their coordinate systems, the most frequent first.
        bands: Number of stored bands and type of their values, such as `4 bands of uint16` -> number of images.
        with_missing: Number of images that mark pixels as missing, by a value or by transparency.
        missing: Share of the pixels of these that are missing, 0..1, as counted in the smallest overviews, or in images
            of at most 4 million pixels; of at most 64 images; None if none of them could be counted.
    """

    images: int
    systems: tuple[MapSystem, ...]
    bands: dict[str, int]
    with_missing: int = 0
    missing: float | None = None


class _Header(msgspec.Struct, frozen=True):
    """What the header of an image says."""

    path: Path
    place: Georeference
    bands: str
    marks_missing: bool


def places_of(dataset: Dataset, images: Iterable[Path]) -> tuple[Places | None, list[Finding]]:
    """Where the images lie, None if no TIFF image has a position; and W165 if their systems differ.

    Only headers are read, and of a few images the smallest overview.

    Args:
        dataset: The data set.
        images: The readable TIFF images, each once.
    """
    headers = [header for path in images if (header := _header(path)) is not None]
    if not headers:
        return None, []
    by_system: dict[tuple[str, str], list[tuple[float, Path]]] = {}
    for header in headers:
        placement, system = placement_of(header.place), system_of(header.place)
        if placement is not None:
            by_system.setdefault((system.name, system.unit), []).append((placement.pixel_size, header.path))
    systems = [
        MapSystem(name=name, unit=unit, images=len(sizes), smallest=min(sizes)[0], largest=max(sizes)[0])
        for (name, unit), sizes in sorted(by_system.items(), key=lambda one: -len(one[1]))
    ]
    marked = [header.path for header in headers if header.marks_missing]
    found = Places(
        images=len(headers),
        systems=tuple(systems),
        bands=dict(Counter(header.bands for header in headers).most_common()),
        with_missing=len(marked),
        missing=_missing_share(marked),
    )
    return found, _different(dataset, headers)


def _header(path: Path) -> _Header | None:
    """The header of a TIFF image with a position; None for others, and for those that cannot be read."""
    import tifffile

    try:
        place = read_georeference(path, is_tiff=True, pixels=False)
        if place is None or placement_of(place) is None:
            return None
        with open_regular(path) as stream, tifffile.TiffFile(stream) as file:
            page = file.pages.first
            bands, marks = int(page.samplesperpixel), bool(place.tags) and missing_pixels(page) is not None
            return _Header(path, place, f"{counted(bands, 'band')} of {page.dtype}", marks)
    except Exception:  # tifffile raises exceptions of many types; what is wrong is told where the file is examined
        return None


def _different(dataset: Dataset, headers: list[_Header]) -> list[Finding]:
    """Images in different coordinate systems; zones of UTM count as one."""
    first: dict[str, _Header] = {}
    names: Counter[str] = Counter()
    for header in headers:
        placement = placement_of(header.place)
        if placement is None or placement.epsg is None:
            continue  # a system without a code cannot be compared
        zone = any(placement.epsg in codes for codes in _UTM)
        name = "UTM zones on WGS 84" if zone else system_of(header.place).name
        first.setdefault(name, header)
        names[name] += 1
    if len(names) < 2:
        return []
    systems = ", ".join(f"{number} in {name}" for name, number in names.most_common())
    return [
        finding(
            "W165",
            f"images in different coordinate systems: {systems}",
            [relative_name(header.path, dataset.root) for header in first.values()],
            "check that their pixels cover the same area, and bring them to one system otherwise, for example with "
            "gdalwarp -t_srs",
        )
    ]


def _missing_share(paths: list[Path]) -> float | None:
    """Mean share of missing pixels of at most `_LOOKED_AT` images, evenly chosen; None if none can be counted."""
    step = max(1, -(-len(paths) // _LOOKED_AT))
    shares = [share for path in paths[::step] if (share := _share_of(path)) is not None]
    return statistics.fmean(shares) if shares else None


def _share_of(path: Path) -> float | None:
    """Share of the pixels of an image that are missing, by its smallest overview; None if it is large without one."""
    import tifffile

    try:
        with open_regular(path) as stream, tifffile.TiffFile(stream) as file:
            page = file.pages.first
            stated = missing_pixels(page)
            levels = file.series[0].levels
            smallest = levels[-1].keyframe
            if stated is None or int(smallest.imagelength) * int(smallest.imagewidth) > _MOST_PIXELS:
                return None
            values = smallest.asarray(maxworkers=1)
            if values.ndim == 3 and smallest.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                values = np.moveaxis(values, 0, 2)
            return float(stated.among(values.reshape(*values.shape[:2], -1)).mean())
    except Exception:  # as above
        return None
