"""Probabilities of classes as files: TIFF files with one band per class, in 255 steps.

A probability p becomes the whole number next to 255 p (the even one of two), so that it is known to 1/510. With one
class per pixel, the values of a pixel add up to 255 but for half a step per class. Missing pixels are 0 in all bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.prediction.large.pyramids import Look, MaskPyramid
from pixelwise.storage import scratch_folder, write_bytes

PROBABILITIES = "probabilities"
"""Folder of the files."""
STEPS = 255
_TILE = 256
_METADATA_TAG = 42112
"""GDAL's tag for names and scales of bands, as XML."""
_ROWS = 256


def in_steps(values: np.ndarray) -> np.ndarray:
    """Probabilities float32 (K, H, W), 0..1, as uint8 (H, W, K), 0..255."""
    return np.rint(values * np.float32(STEPS)).clip(0, STEPS).astype(np.uint8).transpose(1, 2, 0)


def look_of(classes: Sequence[str]) -> Look:
    """How the probabilities of classes are stored."""
    return Look(np.dtype(np.uint8), len(classes), bands=True, tile=_TILE)


def tags_of(classes: Sequence[str], place: Georeference | None) -> list[tuple[int, str | int, int, Any, bool]]:
    """Tags of the file: its position on the map, and the name and the scale of each band as GDAL reads them."""
    items = [
        f'<Item name="DESCRIPTION" sample="{band}" role="description">{escape(name)}</Item>'
        f'<Item name="SCALE" sample="{band}" role="scale">{1 / STEPS!r}</Item>'
        for band, name in enumerate(classes)
    ]
    text = f"<GDALMetadata>{''.join(items)}</GDALMetadata>".encode("ascii", "xmlcharrefreplace").decode()
    return [*(() if place is None else place.tags), (_METADATA_TAG, "s", 0, text, True)]


def write_probabilities(
    path: Path, scores: np.ndarray, classes: Sequence[str], place: Georeference | None, scratch: Path
) -> list[Path]:
    """Write the probabilities of an image.

    Args:
        path: The file without its extension.
        scores: Probabilities float32 (K, H, W), 0..1.
        classes: Class names.
        place: Position of the image on the map, if it has one; its missing pixels get 0 in all bands.
        scratch: Folder in which temporary files may be made.

    Returns:
        The files that were written.

    Raises:
        ResourceError: S601, the disk is full.
    """
    height, width = scores.shape[1:]
    missing = None if place is None else place.missing
    with scratch_folder(scratch) as folder:
        file = MaskPyramid((height, width), look_of(classes), folder)
        try:
            for first in range(0, height, _ROWS):
                band = np.ascontiguousarray(in_steps(scores[:, first : first + _ROWS]))
                if missing is not None:
                    band[missing[first : first + _ROWS]] = 0
                file.add(band)
            return save(path, file, tags_of(classes, place), place)
        finally:
            file.close()


def save(path: Path, file: MaskPyramid, tags: Sequence[Any], place: Georeference | None) -> list[Path]:
    """Write a file of which all rows are known, and the world and projection files of its image beside it.

    Args:
        path: The file without its extension.
        file: Its rows.
        tags: Its tags.
        place: Position of the image on the map, if it has one.

    Returns:
        The files that were written.
    """
    # Not with_suffix, since the name itself may contain a dot.
    written = [path.with_name(f"{path.name}.tif")]
    file.write(written[0], tags)
    for ending, content in ((".tfw", place and place.world), (".prj", place and place.projection)):
        if content is not None:
            written.append(path.with_name(path.name + ending))
            write_bytes(written[-1], content)
    return written
