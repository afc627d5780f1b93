"""LabelMe annotations (labelme.io, the desktop tool): one JSON file beside each image.

    street1.jpg street1.json street2.jpg street2.json ...    in one folder, or in train/, val/, test/

Polygons, rectangles, circles and masks become pixels of their label, later shapes over earlier ones; points and lines
have no area and are left out. Pixels that no shape covers are `background`; pixels with the label `__ignore__` are
ignored. Classes are the labels in alphabetical order, after `background`.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_files, list_images
from pixelwise.datasets.layouts.named_images import NamedImages
from pixelwise.datasets.layouts.outlines import (
    Broken,
    Picture,
    Shape,
    draw,
    drawn_layout,
    ellipse,
    pasted,
    polygon,
    rectangle,
    unannotated,
)
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_json, reading

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
# At most this many JSON files are opened to recognise LabelMe.
_PROBED_FILES = 5


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    mask: str | None = None


class _File(msgspec.Struct, rename={"image_path": "imagePath", "height": "imageHeight", "width": "imageWidth"}):
    """The fields of a file that are needed; an embedded copy of the image is skipped."""

    shapes: list[_Shape]
    image_path: str | None = None
    height: int | None = None
    width: int | None = None


def labelme_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if no image has a LabelMe JSON file beside it.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    files = list_files(root, ".json")
    if not any(_is_labelme(path) for path in files[:_PROBED_FILES]):
        return None
    listing = list_images(root)
    drawn = draw(
        "labelme",
        root,
        [*files, *(entry.path for entry in listing.entries)],
        lambda: _pictures(root, files, listing.entries),
    )
    stems = {path.stem for path in files}
    problems = [
        *(p for p in listing.problems if p.code != "W215"),
        *unannotated(listing.entries, drawn, "LabelMe JSON file", lambda path: path.stem in stems),
    ]
    return drawn_layout(
        "labelme",
        "LabelMe: a JSON file beside each image, drawn as masks into the cache folder",
        root,
        drawn,
        problems=problems,
    )


def _is_labelme(path: Path) -> bool:
    content = peek(path)
    # A damaged LabelMe file counts as well, so that it gets reported.
    return b'"shapes"' in content and (b'"imagePath"' in content or b'"shape_type"' in content)


def _pictures(root: Path, files: list[Path], entries: list[Entry]) -> Iterator[Picture | Broken]:
    images = NamedImages(entries, lambda path: path.with_suffix(""))
    resolved = NamedImages(entries, Path.resolve)
    for file in files:
        try:
            found = read_json(file, _File)
        except DocumentError as error:
            if _is_labelme(file) or images.at(file) is not None:
                yield Broken(file, f"not a LabelMe JSON file: {error.reason}")
            continue
        entry = images.at(file) or images.only(file.stem)
        if entry is None and found.image_path:
            entry = resolved.at(file.parent / found.image_path.replace("\\", "/"))
        if entry is None:
            yield Broken(file, f"its image {printable(found.image_path or file.stem)} {images.absence(file.stem)}")
            continue
        size = (found.height, found.width) if found.height and found.width else None
        try:
            with reading(file):
                shapes = [shape for one in found.shapes if (shape := _shape(one)) is not None]
        except DocumentError as error:
            yield Broken(file, error.reason)
            continue
        skipped = [one.shape_type for one in found.shapes if one.shape_type in _WITHOUT_AREA]
        split = split_of(entry.path.relative_to(root).parts[:-1])
        yield Picture(split, entry.key, entry.path, size, shapes, file, skipped)


def _shape(one: _Shape) -> Shape | None:
    """The shape, or None for one without an area.

    Raises:
        ValueError: The number of points does not fit the type of shape, or the type is unknown.
    """
    kind = one.shape_type or "polygon"
    if kind in _WITHOUT_AREA:
        return None
    points = one.points
    if kind == "polygon":
        if len(points) < 3:
            raise ValueError(f"a polygon of '{printable(one.label)}' has {len(points)} points; expected 3 or more")
        return polygon(one.label, [value for point in points for value in point])
    if kind in ("rectangle", "circle", "mask") and len(points) != 2:
        raise ValueError(f"a {kind} of '{printable(one.label)}' has {len(points)} points; expected 2")
    (x0, y0), (x1, y1) = points[:2] if len(points) >= 2 else ((0, 0), (0, 0))
    if kind == "rectangle":
        return rectangle(one.label, x0, y0, x1, y1)
    if kind == "circle":
        radius = math.hypot(x1 - x0, y1 - y0)
        return ellipse(one.label, x0, y0, radius, radius)
    if kind == "mask":
        return pasted(one.label, _decode_mask(one), round(x0), round(y0))
    raise ValueError(f"a shape of '{printable(one.label)}' has the unknown type '{printable(kind)}'")


def _decode_mask(one: _Shape) -> np.ndarray:
    """Decode a mask that is stored as a base64 PNG to bool (h, w)."""
    try:
        content = base64.b64decode(one.mask or "", validate=True)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            values: Any = np.asarray(image.convert("L"))
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"a mask of '{printable(one.label)}' cannot be decoded: {error}") from error
    return values > 0


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            (height, width), stem = scene.labels.shape, f"{number:04d}"
            shapes = [
                {
                    "label": scenes.classes[class_id],
                    "points": [[left, top], [right, bottom]],
                    "shape_type": "rectangle",
                    "flags": {},
                }
                for class_id, left, top, right, bottom in scene.boxes
            ]
            write_image(root / split / f"{stem}.png", scene.image)
            size = {"imageHeight": height, "imageWidth": width}
            content = {"version": "5.4.1", "shapes": shapes, "imagePath": f"{stem}.png", "imageData": None, **size}
            write_text(root / split / f"{stem}.json", json_text(content))


register(
    Format(
        name="labelme",
        title="LabelMe",
        expected="a LabelMe JSON file beside each image (a.jpg, a.json)",
        layout=labelme_layout,
        recognise=lambda root: any(_is_labelme(path) for path in list_files(root, ".json")[:_PROBED_FILES]),
        priority=ANNOTATIONS,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
