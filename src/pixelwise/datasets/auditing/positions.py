"""Findings about the positions of images on the map: those of their masks, and the sizes of their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.auditing.examination import Examination, relative_name
from pixelwise.datasets.findings import Affected, Finding, finding
from pixelwise.datasets.reading.georeference import Placement, placement_of, read_georeference
from pixelwise.datasets.reading.tiff import is_tiff
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.sizes import Size
from pixelwise.storage.names import counted

SHIFTED = 0.5
"""Distance in pixels of the image from which a mask lies elsewhere."""
VARYING = 1.5
"""Factor between the sizes of pixels from which they vary."""


class _Placed(NamedTuple):
    """A pair whose image has a position."""

    image: str
    mask: str
    size: Size
    here: Placement
    there: Placement | None


class Positions:
    """What is wrong with the positions of images and masks; nothing for images without positions.

    Only headers are read, of one pair after the other.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._elsewhere = Affected()
        self._reason = ""
        self._extremes: dict[int | None, tuple[tuple[float, str], tuple[float, str]]] = {}

    def add(self, examination: Examination) -> None:
        """Look at one pair."""
        one = _placed(self._dataset, examination)
        if one is None:
            return
        if one.there is not None and (reason := _difference(one, one.there)):
            self._reason = self._reason or reason
            self._elsewhere.add(lambda: one.mask)
        size = (one.here.pixel_size, one.image)
        smallest, largest = self._extremes.get(one.here.epsg, (size, size))
        self._extremes[one.here.epsg] = min(smallest, size), max(largest, size)

    def findings(self) -> list[Finding]:
        """Masks that lie elsewhere on the map than their images, and pixels that cover areas of different size."""
        return [*_elsewhere(self._elsewhere, self._reason), *_varying(self._extremes)]


def _placed(dataset: Dataset, examination: Examination) -> _Placed | None:
    sample, image = examination.sample, examination.image
    if image is None or image.format != "TIFF":
        return None
    here, mask = _placement(sample.image_path), sample.mask_path
    if here is None:
        return None
    there = _placement(mask) if mask is not None and is_tiff(mask) else None
    names = relative_name(sample.image_path, dataset.root), relative_name(mask or sample.image_path, dataset.root)
    return _Placed(names[0], names[1], examination.size, here, there)


def _placement(path: Path) -> Placement | None:
    try:
        place = read_georeference(path, is_tiff=True, pixels=False)
    except (OSError, ValueError):
        return None  # what cannot be read is told where the file is examined, or where it is predicted
    return None if place is None or place.turned else placement_of(place)


def _elsewhere(found: Affected, reason: str) -> list[Finding]:
    """Masks that lie elsewhere on the map than their images."""
    if not found.number:
        return []
    masks = counted(found.number, "mask")
    return [
        finding(
            "W163",
            f"{masks} elsewhere on the map than the image, e.g. {found.first[0]}: {reason}",
            found.first,
            "check which image the mask was drawn for; pixels are paired by their rows and columns, whatever the map "
            "says",
            total=found.number,
        )
    ]


def _difference(one: _Placed, there: Placement) -> str:
    """How a mask's position differs from that of its image, in words; empty if it does not."""
    here = one.here
    if here.epsg is not None and there.epsg is not None and here.epsg != there.epsg:
        return f"EPSG:{there.epsg}, while the image has EPSG:{here.epsg}"
    height, width = one.size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    metres = np.abs(here.points(corners) - there.points(corners)).max()
    pixels = metres / max(here.pixel_size, np.finfo(float).tiny)
    return f"up to {pixels:.1f} pixels away" if pixels >= SHIFTED else ""


def _varying(extremes: Mapping[int | None, tuple[tuple[float, str], tuple[float, str]]]) -> list[Finding]:
    """Images whose pixels cover areas of different size, which a network sees as objects of different size."""
    found = []
    for epsg, ((smallest, fine), (largest, coarse)) in extremes.items():
        if smallest > 0 and largest / smallest >= VARYING:
            system = "" if epsg is None else f" (in units of EPSG:{epsg})"
            found.append(
                finding(
                    "W164",
                    f"pixels cover {smallest:g} to {largest:g} on the map{system}: {fine} and {coarse}",
                    [fine, coarse],
                    "bring the images to one resolution, for example with gdalwarp -tr, or train with a wide "
                    "augment.scale",
                )
            )
    return found
