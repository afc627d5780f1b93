"""Regions in Label Studio's JSON exports: polygons, brush strokes, rectangles and ellipses with their labels.

    JSON        [{"id": 12, "data": {"image": "/data/upload/1/0a1b2c3d-street.jpg"},
                  "annotations": [{"id": 34, "result": [{"type": "polygonlabels", "original_width": 640, ...}]}]}]
    JSON-MIN    [{"id": 12, "image": "/data/upload/1/0a1b2c3d-street.jpg", "annotation_id": 34,
                  "label": [{"polygonlabels": ["road"], "original_width": 640, ...}]}]

Coordinates are percentages of the image's width and height. Brush strokes are run-length-encoded RGBA images, of which
only the alpha channel carries information.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.layouts.outlines import Shape, ellipse, polygon, turned_rectangle
from pixelwise.storage import printable
from pixelwise.storage.documents import parse_json, reading

# Types of regions that mark places in the image but have no area.
_WITHOUT_AREA = {"keypointlabels": "keypoint", "keypoint": "keypoint", "vectorlabels": "vector", "vector": "vector"}
# What annotators say about an image as a whole.
_NO_REGIONS = {
    "choices", "taxonomy", "textarea", "number", "rating", "datetime", "ranker", "pairwise", "relation", "text",
}  # fmt: skip
_CHANNELS = 4
_WORD_BITS = 8


class Region(msgspec.Struct):
    """One entry of an annotation's `result`."""

    id: str = ""
    type: str = ""
    value: dict[str, Any] = {}
    original_width: int | None = None
    original_height: int | None = None
    image_rotation: float = 0.0


class Annotation(msgspec.Struct):
    """One person's annotation of one task."""

    id: int = 0
    result: list[Region] = []
    was_cancelled: bool = False


class Task(msgspec.Struct):
    """One task of an export, with the annotations of all who worked on it."""

    id: int
    data: dict[str, Any] = {}
    annotations: list[Annotation] = []
    completions: list[Annotation] = []
    """What `annotations` was called before Label Studio 1.0."""
    predictions: list[Any] = []


class Outlined(NamedTuple):
    """The shapes of an annotation.

    Attributes:
        size: (height, width) of the annotated image; None if the annotation holds no region.
        shapes: The shapes in the order of the export.
        skipped: Kinds of the regions that have no area.
    """

    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    skipped: tuple[str, ...]


def is_export(content: bytes) -> bool:
    """Whether this is the content of a JSON or JSON-MIN export; a damaged one counts as well."""
    if content.lstrip()[:1] != b"[":
        return False
    with_results = b'"result"' in content and (b'"annotations"' in content or b'"completions"' in content)
    return with_results or _is_min(content)


def _is_min(content: bytes) -> bool:
    return b'"annotation_id"' in content and b'"annotator"' in content and b'"annotations"' not in content


def tasks_of(content: bytes, path: Path) -> list[Task]:
    """The tasks in the content of a JSON or JSON-MIN export, each once.

    Raises:
        DocumentError: The content is neither.
    """
    if not _is_min(content):
        return parse_json(content, list[Task], path)
    tasks: dict[int, Task] = {}
    rows = parse_json(content, list[dict[str, Any]], path)
    with reading(path):
        for number, row in enumerate(rows, 1):
            own = row.get("id")
            if not isinstance(own, int):
                raise ValueError(f"entry {number} has no `id`")
            regions = [
                _region(one)
                for values in row.values()
                if isinstance(values, list)
                for one in values
                if isinstance(one, dict) and _marks(one)
            ]
            texts = {name: value for name, value in row.items() if isinstance(value, str)}
            task = tasks.setdefault(own, Task(own, texts))
            task.annotations.append(Annotation(msgspec.convert(row.get("annotation_id", 0), int), regions))
    return list(tasks.values())


def _region(one: dict[str, Any]) -> Region:
    """A region of JSON-MIN, whose type is the name of the list of its labels."""
    kind = next((name for name in one if name.endswith("labels") and name != "labels"), "")
    kind = kind or ("labels" if "labels" in one else "")
    # The tags <Polygon> and <Labels> write a region twice, here without an id that would connect them.
    place = {name: value for name, value in one.items() if not name.endswith("labels")}
    described = {name: one.get(name) for name in ("original_width", "original_height")}
    rotation = one.get("image_rotation") or 0
    content = {"id": repr(sorted(place.items())), "type": kind, "value": one, **described, "image_rotation": rotation}
    return msgspec.convert(content, Region)


def outlines(annotation: Annotation) -> Outlined:
    """The shapes of an annotation.

    Raises:
        ValueError: A region cannot be drawn; the message says why.
    """
    regions = [region for region in annotation.result if region.original_width and region.original_height]
    sizeless = next((one for one in annotation.result if one not in regions and _marks(one.value)), None)
    if sizeless is not None:
        raise ValueError(f"region '{printable(sizeless.id[:40])}' has no original_width and original_height")
    labelled = {region.id for region in regions if _labels(region)}
    shapes, skipped = [], []
    for region in regions:
        if region.type in _WITHOUT_AREA:
            skipped.append(_WITHOUT_AREA[region.type])
            continue
        if region.type in _NO_REGIONS:
            continue
        labels = _labels(region)
        if not labels and region.id in labelled:
            continue  # the tags <Polygon> and <Labels> write a region twice, once with its label
        if len(labels) != 1:
            raise ValueError(f"region '{printable(region.id[:40])}' has {len(labels)} labels; expected one")
        if region.image_rotation % 360:
            raise ValueError(f"the image was rotated by {region.image_rotation:g} degrees in Label Studio")
        shapes.append(_shape(region, labels[0]))
    size = next(
        ((r.original_height, r.original_width) for r in regions if r.original_height and r.original_width), None
    )
    return Outlined(size, tuple(shapes), tuple(skipped))


def _marks(value: dict[str, Any]) -> bool:
    """Whether a value describes a place in the image, not an answer about it."""
    return not value.keys().isdisjoint(("original_width", "points", "rle", "x", "radiusX", "vertices", "imageDataURL"))


def _labels(region: Region) -> list[str]:
    """Class names of a region, listed under the name of its type, such as `polygonlabels`, or under `labels`."""
    found = region.value.get(region.type, region.value.get("labels"))
    return [label for label in found if isinstance(label, str)] if isinstance(found, list) else []


def _shape(region: Region, label: str) -> Shape:
    """The shape of a region, recognised by the values that it has.

    Raises:
        ValueError: It has none of the known ones.
    """
    value, width, height = region.value, region.original_width or 0, region.original_height or 0
    if "points" in value:
        return polygon(label, (np.asarray(value["points"], np.float64) * (width / 100, height / 100)).ravel().tolist())
    if "rle" in value:
        return Shape(label, partial(decode_brush, value["rle"]))
    if "radiusX" in value:
        return ellipse(
            label,
            float(value["x"]) * width / 100,
            float(value["y"]) * height / 100,
            float(value["radiusX"]) * width / 100,
            float(value["radiusY"]) * height / 100,
            float(value.get("rotation", 0)),
        )
    if "width" in value and "height" in value:
        # Label Studio rotates rectangles about their upper left corner.
        pivot = (float(value["x"]) * width / 100, float(value["y"]) * height / 100)
        across, down = float(value["width"]) * width / 100, float(value["height"]) * height / 100
        return turned_rectangle(label, pivot, (0, 0, across, down), float(value.get("rotation", 0)))
    raise ValueError(
        f"a region of '{printable(label)}' has the type '{printable(region.type)}'; expected polygons, brush strokes, "
        "rectangles or ellipses"
    )


def decode_brush(packed: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode the pixels of a brush stroke: bool (height, width).

    The bytes of `packed` form a bit stream. Its header holds the number of values (32 bits), the bits per value minus 1
    (5 bits) and four word lengths minus 1 (4 bits each). Runs follow: 1 bit tells whether one value is repeated, 2 bits
    select one of the four word lengths, a word of that length holds the number of values minus 1, and then comes the
    repeated value, or all values if none is repeated.

    Raises:
        ValueError: The bytes are not such a stream, or one for an image of another size.
    """
    try:
        data = bytes(packed)
    except (TypeError, ValueError) as error:
        raise ValueError("a brush stroke is not a list of bytes") from error
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    position = 0

    def read(count: int) -> int:
        nonlocal position
        end = position + count
        if end > bits.size:
            raise ValueError("a brush stroke is truncated")
        number = int.from_bytes(data[position // 8 : -(-end // 8)], "big") >> (-end % 8) & ((1 << count) - 1)
        position = end
        return number

    total, word = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if total != height * width * _CHANNELS or word != _WORD_BITS:
        raise ValueError(
            f"a brush stroke holds {total} values of {word} bits; expected {height * width * _CHANNELS} of 8, for "
            f"{width}x{height} pixels (WxH)"
        )
    values = np.empty(total, np.uint8)
    done = 0
    while done < total:
        repeats = read(1)
        end = done + read(lengths[read(2)]) + 1
        if end > total:
            raise ValueError("a brush stroke holds more values than its header declares")
        if repeats:
            values[done:end] = read(_WORD_BITS)
        else:
            wanted = (end - done) * _WORD_BITS
            if position + wanted > bits.size:
                raise ValueError("a brush stroke is truncated")
            values[done:end] = np.packbits(bits[position : position + wanted])
            position += wanted
        done = end
    return values.reshape(height, width, _CHANNELS)[..., 3] > 0
