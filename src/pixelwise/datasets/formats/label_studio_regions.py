"""Regions in Label Studio's JSON export: polygons, brush strokes, rectangles and ellipses, with their labels.

    [{"id": 12, "data": {"image": "/data/upload/1/0a1b2c3d-street.jpg"},
      "annotations": [{"id": 34, "result": [{"type": "polygonlabels", "original_width": 640, ...}]}]}]

Coordinates are percent of the image's sides. Brush strokes are RGBA pictures, packed by runs of bytes of which
only those of the alpha channel say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.layouts.outlines import Shape, ellipse, polygon, turned_rectangle
from pixelwise.storage import printable

# Types of regions that lie on an image and have no area; others are choices, texts and relations.
_WITHOUT_AREA = {"keypointlabels": "keypoint", "keypoint": "keypoint", "vectorlabels": "vector", "vector": "vector"}
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
    """What one person annotated in one task."""

    id: int = 0
    result: list[Region] = []
    was_cancelled: bool = False


class Outlined(NamedTuple):
    """What an annotation draws.

    Attributes:
        size: (height, width) that it was made at; None where it holds no region.
        shapes: The shapes in the order of the export.
        skipped: Kinds of regions without an area.
    """

    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    skipped: tuple[str, ...]


def outlines(annotation: Annotation) -> Outlined:
    """The shapes of an annotation.

    Raises:
        ValueError: A region cannot be drawn, in words.
    """
    regions = [region for region in annotation.result if region.original_width and region.original_height]
    labelled = {region.id for region in regions if _labels(region)}
    shapes, skipped = [], []
    for region in regions:
        if region.type in _WITHOUT_AREA:
            skipped.append(_WITHOUT_AREA[region.type])
            continue
        labels = _labels(region)
        if not labels and region.id in labelled:
            continue  # the tags <Polygon> and <Labels> write a region twice, once with its label
        if len(labels) != 1:
            raise ValueError(f"region '{printable(region.id)}' has {len(labels)} labels; expected one")
        if region.image_rotation % 360:
            raise ValueError(f"the image was turned by {region.image_rotation:g} degrees in Label Studio")
        shape = _shape(region, labels[0])
        if shape is not None:
            shapes.append(shape)
    size = next(
        ((r.original_height, r.original_width) for r in regions if r.original_height and r.original_width), None
    )
    return Outlined(size, tuple(shapes), tuple(skipped))


def _labels(region: Region) -> list[str]:
    """Names of the classes of a region: a list under the name of its type, such as `polygonlabels`."""
    found = region.value.get(region.type, region.value.get("labels"))
    return [label for label in found if isinstance(label, str)] if isinstance(found, list) else []


def _shape(region: Region, label: str) -> Shape | None:
    """What a region draws, judged by the values it has; None for choices and texts."""
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
        # Turned about its upper left corner.
        pivot = (float(value["x"]) * width / 100, float(value["y"]) * height / 100)
        across, down = float(value["width"]) * width / 100, float(value["height"]) * height / 100
        return turned_rectangle(label, pivot, (0, 0, across, down), float(value.get("rotation", 0)))
    return None


def decode_brush(packed: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode the pixels of a brush stroke: bool (height, width).

    The bytes are a stream of bits: 32 of the number of values, 5 of the bits per value less 1, four times 4 of a
    length less 1. Then come runs: 1 bit whether a value repeats, 2 bits that choose one of the four lengths, so many
    bits of the number of values less 1, and the value, or all of them where none repeats.

    Args:
        packed: The run-length code, one byte per entry.
        height: Height of the image.
        width: Width of the image.

    Raises:
        ValueError: They are no such stream, or one of another size.
    """
    try:
        data = bytes(packed)
    except (TypeError, ValueError) as error:
        raise ValueError("a brush stroke is no list of bytes") from error
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    position = 0

    def read(count: int) -> int:
        nonlocal position
        end = position + count
        if end > bits.size:
            raise ValueError("a brush stroke ends early")
        number = int.from_bytes(data[position // 8 : -(-end // 8)], "big") >> (-end % 8) & ((1 << count) - 1)
        position = end
        return number

    total, word = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if total != height * width * _CHANNELS or word != _WORD_BITS:
        raise ValueError(
            f"a brush stroke holds {total} values of {word} bits; expected {height * width * _CHANNELS} of 8, for "
            f"{height}x{width} pixels (HxW)"
        )
    values = np.empty(total, np.uint8)
    done = 0
    while done < total:
        repeats = read(1)
        end = done + read(lengths[read(2)]) + 1
        if end > total:
            raise ValueError("a brush stroke holds more values than it says")
        if repeats:
            values[done:end] = read(_WORD_BITS)
        else:
            wanted = (end - done) * _WORD_BITS
            if position + wanted > bits.size:
                raise ValueError("a brush stroke ends early")
            values[done:end] = np.packbits(bits[position : position + wanted])
            position += wanted
        done = end
    return values.reshape(height, width, _CHANNELS)[..., 3] > 0
