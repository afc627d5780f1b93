"""Predictions as polygons: for editors in files of LabelMe or COCO, for maps in GeoJSON and GeoPackages."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from pixelwise.datasets.reading.georeference import Georeference, Placement, placement_of
from pixelwise.prediction.options import PolygonFormat
from pixelwise.prediction.overlays import background_of
from pixelwise.prediction.polygons import Polygon, simplified
from pixelwise.prediction.prediction import Prediction
from pixelwise.recipes.sizes import Size
from pixelwise.storage import json_text, printable, write_text, writing

POLYGONS = "polygons"
"""Folder of the annotations."""
COCO_FILE = "annotations.json"
MAP_ENDINGS = {"geojson": ".geojson", "gpkg": ".gpkg"}
"""Formats of outlines in coordinates of the map, a file per image -> its ending."""
TOLERANCE = 0.7
"""Distance in pixels by which outlines differ from those of the pixels: stairs become straight lines."""
SMALLEST = 9
"""Objects of fewer pixels are left out: nobody corrects them one by one."""
_LABELME = "5.5.0"
_POINTS = 1 << 14
"""Number of points that are turned into text together."""


Take = Callable[[int, Polygon], None]
"""Receives the objects of an image: class id and exact polygon."""


class Pictured(NamedTuple):
    """The image that a prediction is of, without its pixels.

    Attributes:
        path: Path of the image file.
        name: Name under which its results are written, relative to their folder, without extension.
        size: (height, width) of the upright image.
        multilabel: Whether a pixel may belong to several classes, so that none of them is the background.
        place: Its position on the map, if it has one.
    """

    path: Path
    name: Path
    size: Size
    multilabel: bool = False
    place: Georeference | None = None


class Annotations(Protocol):
    """Annotations of predicted images. They may be used by several threads."""

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Add an image.

        Args:
            image: Path of the image file.
            name: Name under which its results are written, relative to their folder, without extension.
            prediction: What was predicted for it.
            place: Its position on the map, if it has one.
        """

    def receiving(self, image: Pictured) -> contextlib.AbstractContextManager[Take]:
        """Context that yields what receives the objects of an image one by one, the background among them.

        The image is added at the end of the block, or not at all if it fails.
        """
        ...

    def finish(self) -> None:
        """Write what is written once for all images."""


class LabelMe:
    """One JSON file per image, which LabelMe opens together with the image.

    Args:
        folder: Folder of the files.
        classes: Class names.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, tuple(classes)

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Write the file of an image."""
        self._write(_pictured(image, name, prediction, place), objects(prediction))

    @contextlib.contextmanager
    def receiving(self, image: Pictured) -> Iterator[Take]:
        """Keep the simplified outlines of an image, and write its file at the end."""
        kept = _Kept(self._classes, image.multilabel)
        yield kept.take
        self._write(image, kept.objects())

    def _write(self, image: Pictured, found: Iterable[tuple[str, np.ndarray]]) -> None:
        path = self._folder / image.name.with_name(f"{image.name.name}.json")
        height, width = image.size
        shapes = [
            {"label": label, "points": ring.tolist(), "group_id": None, "shape_type": "polygon", "flags": {}}
            for label, ring in found
        ]
        content = {
            "version": _LABELME,
            "flags": {},
            "shapes": shapes,
            "imagePath": printable(_from(path.parent, image.path)),
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
        self._lock = threading.Lock()

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Keep the outlines of an image."""
        found = objects(prediction)
        with self._lock:
            self._keep(_pictured(image, name, prediction, place), found)

    @contextlib.contextmanager
    def receiving(self, image: Pictured) -> Iterator[Take]:
        """Keep the simplified outlines of an image."""
        kept = _Kept(self._classes, image.multilabel)
        yield kept.take
        with self._lock:
            self._keep(image, kept.objects())

    def _keep(self, image: Pictured, found: Iterable[tuple[str, np.ndarray]]) -> None:
        height, width = image.size
        number = len(self._images) + 1
        # Editors and data sets find images by their names below a folder of their own.
        file = printable(image.name.with_name(f"{image.name.name}{image.path.suffix}").as_posix())
        self._images.append({"id": number, "file_name": file, "width": width, "height": height})
        for label, ring in found:
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


class _MapFiles:
    """One file per image: the exact outlines of all objects, with their holes, in coordinates of the map.

    Without a position on the map they are in pixels, from the upper left corner, y downwards.

    Args:
        folder: Folder of the files.
        classes: Class names.
    """

    kind: PolygonFormat

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder, self._classes = folder, tuple(classes)

    def add(self, image: Path, name: Path, prediction: Prediction, place: Georeference | None = None) -> None:
        """Write the file of an image."""
        with self.receiving(_pictured(image, name, prediction, place)) as take:
            _give_all(prediction, take)

    @contextlib.contextmanager
    def receiving(self, image: Pictured) -> Iterator[Take]:
        """Write the outlines of an image as they come."""
        placement = None if image.place is None else placement_of(image.place)
        background = None if image.multilabel else background_of(self._classes)
        path = self._folder / image.name.with_name(f"{image.name.name}{MAP_ENDINGS[self.kind]}")
        with writing(path) as temporary, self._written(temporary, image, placement) as write:

            def take(class_id: int, polygon: Polygon) -> None:
                if class_id != background:
                    write(class_id, polygon)

            yield take

    def finish(self) -> None:
        """Nothing is left to write."""

    def _written(
        self, path: Path, image: Pictured, placement: Placement | None
    ) -> contextlib.AbstractContextManager[Take]:
        """A new file at `path`, whose function writes an object into it."""
        raise NotImplementedError


class GeoJson(_MapFiles):
    """GeoJSON files, with a line per object."""

    kind = "geojson"

    @contextlib.contextmanager
    def _written(self, path: Path, image: Pictured, placement: Placement | None) -> Iterator[Take]:
        separator = b""
        with path.open("wb") as file:

            def write(class_id: int, polygon: Polygon) -> None:
                nonlocal separator
                file.write(separator)
                file.writelines(self._feature(class_id, polygon, placement))
                separator = b",\n"

            file.write(b'{"type": "FeatureCollection",\n')
            if placement is not None and placement.epsg is not None:
                # Not in the standard any more, which knows only longitude and latitude; GDAL and QGIS use it.
                system = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{placement.epsg}"}}
                file.write(b'"crs": ' + msgspec.json.encode(system) + b",\n")
            file.write(b'"features": [\n')
            yield write
            file.write(b"\n]}\n")

    def _feature(self, class_id: int, polygon: Polygon, placement: Placement | None) -> Iterator[bytes]:
        """The JSON of an object in pieces: that of one across the whole image would take the memory of many images."""
        properties = {"class": self._classes[class_id], "class_id": class_id, "pixels": polygon.area}
        yield b'{"type": "Feature", "properties": ' + msgspec.json.encode(properties)
        yield b', "geometry": {"type": "Polygon", "coordinates": ['
        for number, ring in enumerate((polygon.outline, *polygon.holes)):
            yield b", " if number else b""
            yield from _closed(ring, placement)
        yield b"]}}"


class GeoPackages(_MapFiles):
    """GeoPackages, with a row per object in a table of their own."""

    kind = "gpkg"

    @contextlib.contextmanager
    def _written(self, path: Path, image: Pictured, placement: Placement | None) -> Iterator[Take]:
        # Imported here: not every Python was built with SQLite.
        from pixelwise.prediction.maps.geopackages import writing_geopackage

        with writing_geopackage(path, printable(image.name.as_posix()), placement) as file:
            yield lambda class_id, polygon: file.add(class_id, self._classes[class_id], polygon)


def _give_all(prediction: Prediction, take: Take) -> None:
    for class_id, polygons in enumerate(prediction.polygons().values()):
        for polygon in polygons:
            take(class_id, polygon)


def _closed(ring: np.ndarray, placement: Placement | None) -> Iterator[bytes]:
    """A ring of pixel corners int32 (N, 2) as the JSON of coordinates that end where they begin."""
    # Outlines are clockwise where y points down, and still so on the map; GeoJSON wants the opposite.
    turned = np.concatenate([ring[:1], ring[:0:-1], ring[:1]])
    for first in range(0, len(turned), _POINTS):
        part = turned[first : first + _POINTS]
        points = part if placement is None else placement.points(part)
        yield b"," if first else b"["
        yield msgspec.json.encode(points.tolist())[1:-1]
    yield b"]"


def annotations_of(kind: PolygonFormat, output: Path, classes: Sequence[str]) -> Annotations:
    """The annotations of that kind, below `output`."""
    kinds = {"labelme": LabelMe, "coco": Coco, "geojson": GeoJson, "gpkg": GeoPackages}
    return kinds[kind](output / POLYGONS, classes)


def objects(prediction: Prediction) -> list[tuple[str, np.ndarray]]:
    """Class name and ring int32 (N, 2) of every object but the background.

    Large ones come first, so that whoever draws them in this order draws the small ones over them.
    """
    kept = _Kept(prediction.classes, prediction.multilabel)
    _give_all(prediction, kept.take)
    return kept.objects()


class _Kept:
    """The simplified outlines of an image, without those of the background and of small objects."""

    def __init__(self, classes: Sequence[str], multilabel: bool) -> None:
        self._classes, self._background = classes, None if multilabel else background_of(classes)
        self._found: list[tuple[float, int, float, Polygon]] = []

    def take(self, class_id: int, polygon: Polygon) -> None:
        """Receive an object."""
        if class_id != self._background:
            kept = simplified(polygon, TOLERANCE) if TOLERANCE else polygon
            if kept.area >= SMALLEST:
                self._found.append((-kept.area, class_id, -polygon.area, kept))

    def objects(self) -> list[tuple[str, np.ndarray]]:
        """Class name and ring int32 (N, 2) of each, the largest first."""
        return [
            (self._classes[class_id], in_one_ring(polygon))
            for _, class_id, _, polygon in sorted(self._found, key=lambda one: one[:3])
        ]


def _pictured(image: Path, name: Path, prediction: Prediction, place: Georeference | None) -> Pictured:
    height, width = prediction.image.shape[:2]
    return Pictured(image, name, (height, width), prediction.multilabel, place)


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
