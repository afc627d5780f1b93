"""Predictions as polygons: for editors in files of LabelMe or COCO, for maps in files of GeoJSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pixelwise.datasets.reading.georeference import Georeference, Placement, placement_of
from pixelwise.prediction.options import PolygonFormat
from pixelwise.prediction.overlays import background_of
from pixelwise.prediction.polygons import Polygon
from pixelwise.prediction.prediction import Prediction
from pixelwise.storage import json_text, printable, write_text

POLYGONS = "polygons"
"""Folder of the annotations."""
COCO_FILE = "annotations.json"
TOLERANCE = 0.7
"""Distance in pixels by which outlines differ from those of the pixels: stairs become straight lines."""
SMALLEST = 9
"""Objects of fewer pixels are left out: nobody corrects them one by one."""
_LABELME = "5.5.0"


class Annotations(Protocol):
    """Annotations of predicted images."""

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Add an image.

        Args:
            image: Path of the image file.
            name: Name under which its results are written, relative to their folder, without extension.
            prediction: What was predicted for it.
            place: Its position on the map, if it has one.
        """

    def finish(self) -> None:
        """Write what is written once for all images."""


class LabelMe:
    """One JSON file per image, which LabelMe opens together with the image.

    Args:
        folder: Folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Write the file of an image."""
        path = self._folder / name.with_name(f"{name.name}.json")
        height, width = prediction.image.shape[:2]
        shapes = [
            {"label": label, "points": ring.tolist(), "group_id": None, "shape_type": "polygon", "flags": {}}
            for label, ring in objects(prediction)
        ]
        content = {
            "version": _LABELME,
            "flags": {},
            "shapes": shapes,
            "imagePath": printable(_from(path.parent, image)),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_text(path, json_text(content))

    def finish(self) -> None:
        """Nothing is left to write."""


class Coco:
    """One `annotations.json` for all images.

    Args:
        folder: Folder of the file.
        classes: Class names; the number of a category is the class id + 1.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, tuple(classes)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Keep the outlines of an image."""
        height, width = prediction.image.shape[:2]
        number = len(self._images) + 1
        # Editors and data sets find images by their names below a folder of their own.
        file = printable(name.with_name(f"{name.name}{image.suffix}").as_posix())
        self._images.append({"id": number, "file_name": file, "width": width, "height": height})
        for label, ring in objects(prediction):
            (left, top), (right, bottom) = ring.min(0).tolist(), ring.max(0).tolist()
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": self._classes.index(label) + 1,
                    "segmentation": [ring.ravel().tolist()],
                    "area": Polygon(ring).area,
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": 0,
                }
            )

    def finish(self) -> None:
        """Write the file."""
        background = background_of(self._classes)
        categories = [
            {"id": class_id + 1, "name": name} for class_id, name in enumerate(self._classes) if class_id != background
        ]
        content = {"images": self._images, "annotations": self._annotations, "categories": categories}
        write_text(self._folder / COCO_FILE, json_text(content))


class GeoJson:
    """One GeoJSON file per image: the exact outlines of all objects, with their holes, in coordinates of the map.

    Without a position on the map they are in pixels, from the upper left corner, y downwards.

    Args:
        folder: Folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Write the file of an image."""
        placement = None if place is None else placement_of(place)
        background = None if prediction.multilabel else background_of(prediction.classes)
        features = [
            {
                "type": "Feature",
                "properties": {"class": label, "class_id": class_id, "pixels": polygon.area},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [_closed(ring, placement) for ring in (polygon.outline, *polygon.holes)],
                },
            }
            for class_id, (label, polygons) in enumerate(prediction.polygons().items())
            for polygon in polygons
            if class_id != background
        ]
        content: dict[str, Any] = {"type": "FeatureCollection", "features": features}
        if placement is not None and placement.epsg is not None:
            # Not in the standard any more, which knows only longitude and latitude; GDAL and QGIS read and write it.
            content["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{placement.epsg}"}}
        write_text(self._folder / name.with_name(f"{name.name}.geojson"), json_text(content))

    def finish(self) -> None:
        """Nothing is left to write."""


def _closed(ring: np.ndarray, placement: Placement | None) -> list[list[float]]:
    """A ring of pixel corners int32 (N, 2) as coordinates that end where they begin."""
    points = ring if placement is None else placement.points(ring)
    # Outlines are clockwise where y points down, and still so on the map; GeoJSON wants the opposite.
    return [*points[:1].tolist(), *points[:0:-1].tolist(), *points[:1].tolist()]


def annotations_of(kind: PolygonFormat, output: Path, classes: Sequence[str]) -> Annotations:
    """The annotations of that kind, below `output`."""
    if kind == "geojson":
        return GeoJson(output / POLYGONS)
    return LabelMe(output / POLYGONS) if kind == "labelme" else Coco(output / POLYGONS, classes)


def objects(prediction: Prediction) -> list[tuple[str, np.ndarray]]:
    """Class name and ring int32 (N, 2) of every object but the background.

    Large ones come first, so that whoever draws them in this order draws the small ones over them.
    """
    background = None if prediction.multilabel else background_of(prediction.classes)
    found = [
        (polygon, name)
        for class_id, (name, polygons) in enumerate(prediction.polygons(TOLERANCE).items())
        for polygon in polygons
        if class_id != background and polygon.area >= SMALLEST
    ]
    found.sort(key=lambda one: -one[0].area)
    return [(name, in_one_ring(polygon)) for polygon, name in found]


def in_one_ring(polygon: Polygon) -> np.ndarray:
    """The outline with its holes as one ring int32 (N, 2), for formats without holes.

    Outline and holes are joined by cuts of no width, which enclose nothing.
    """
    ring = polygon.outline
    for hole in sorted(polygon.holes, key=lambda one: int(one[:, 0].min())):
        distances = ((ring[:, None].astype(np.int64) - hole[None]) ** 2).sum(2)
        here, there = np.unravel_index(int(distances.argmin()), distances.shape)
        turned = np.roll(hole, -int(there), axis=0)
        ring = np.concatenate([ring[: here + 1], turned, turned[:1], ring[here:]])
    return ring


def _from(folder: Path, image: Path) -> Path:
    """The image as seen from a folder; whole where they are on different drives."""
    try:
        return Path(os.path.relpath(image, folder))
    except ValueError:
        return image.absolute()
