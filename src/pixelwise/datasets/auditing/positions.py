"""Findings about the positions of images on the map: those of their masks, and the sizes of their pixels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.auditing.examination import Examination, relative_name
from pixelwise.datasets.findings import Finding, finding
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


def position_findings(dataset: Dataset, examinations: Iterable[Examination]) -> list[Finding]:
    """What is wrong with the positions of images and masks; nothing for images without positions.

    Only headers are read.

    Args:
        dataset: The data set.
        examinations: The examinations of all pairs.
    """
    placed = [found for one in examinations if (found := _placed(dataset, one)) is not None]
    return [*_elsewhere(placed), *_varying(placed)]


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


def _elsewhere(placed: list[_Placed]) -> list[Finding]:
    """Masks that lie elsewhere on the map than their images."""
    found = [(one, reason) for one in placed if one.there is not None and (reason := _difference(one, one.there))]
    if not found:
        return []
    first, reason = found[0]
    masks = counted(len(found), "mask")
    return [
        finding(
            "W163",
            f"{masks} elsewhere on the map than the image, e.g. {first.mask}: {reason}",
            [one.mask for one, _ in found],
            "check which image the mask was drawn for; pixels are paired by their rows and columns, whatever the map "
            "says",
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


def _varying(placed: list[_Placed]) -> list[Finding]:
    """Images whose pixels cover areas of different size, which a network sees as objects of different size."""
    by_system: dict[int | None, list[tuple[float, str]]] = {}
    for one in placed:
        by_system.setdefault(one.here.epsg, []).append((one.here.pixel_size, one.image))
    found = []
    for epsg, sizes in by_system.items():
        (smallest, fine), (largest, coarse) = min(sizes), max(sizes)
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
