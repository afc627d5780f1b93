"""LabelMe annotations (labelme.io, the desktop tool): one JSON file beside each image.

    street1.jpg street1.json street2.jpg street2.json ...    in one folder, or in train/, val/, test/

A JSON file has the name of its image, or gives its path; if both exist and differ, neither is used. Several JSON files
of one image are drawn together.

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
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_files, list_images
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import Match, NamedImages, Wanted
from pixelwise.datasets.layouts.outlines import (
    Broken,
    Picture,
    Read,
    Shape,
    Unused,
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
        lambda: merged(_pictures(root, files, listing.entries)),
    )
    beside = {path.with_suffix("") for path in files}
    problems = [
        *listing.problems,
        *unannotated(listing.entries, drawn, "LabelMe JSON file", lambda path: path.with_suffix("") in beside),
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


def _pictures(root: Path, files: list[Path], entries: list[Entry]) -> Iterator[Read]:
    images = NamedImages(entries, root, stems=True)
    read: list[tuple[Path, _File]] = []
    wanted: list[Wanted] = []
    for file in files:
        by_name = images.find(_of_same_name(file))
        try:
            found = read_json(file, _File)
        except DocumentError as error:
            if _is_labelme(file) or _is_beside(file, by_name):
                yield Broken(file, f"not a LabelMe JSON file: {error.reason}", by_name.entry and by_name.entry.path)
            else:
                yield Unused(file, "a JSON file in another format than LabelMe's")
            continue
        one = _wanted(file, found, by_name, images, root)
        if isinstance(one, Broken):
            yield one
        else:
            read.append((file, found))
            wanted.append(one)
    for (file, found), one, match in zip(read, wanted, images.find_all(wanted), strict=True):
        if match.entry is None:
            yield Broken(file, f"its image {printable(found.image_path or file.stem)} {match.reason}")
            continue
        path = match.entry.path
        size = (found.height, found.width) if found.height and found.width else None
        try:
            with reading(file):
                shapes = [shape for one in found.shapes if (shape := _shape(one)) is not None]
        except DocumentError as error:
            yield Broken(file, error.reason, path)
            continue
        skipped = [one.shape_type for one in found.shapes if one.shape_type in _WITHOUT_AREA]
        split = split_of(path.relative_to(root).parts[:-1])
        # The name of the JSON file is a convention; a path is a statement.
        elsewhere = (found.image_path or "") if match.elsewhere and one.names[0] == found.image_path else ""
        yield Picture(split, match.entry.key, path, size, shapes, file, skipped, elsewhere=elsewhere)


def _of_same_name(file: Path) -> Wanted:
    return Wanted((str(file.absolute().with_suffix("")),), file)


def _is_beside(file: Path, match: Match) -> bool:
    return match.entry is not None and match.entry.path.parent == file.parent


def _wanted(file: Path, found: _File, by_name: Match, images: NamedImages, root: Path) -> Wanted | Broken:
    """The image of a file: that of its name or that of its path, which must not contradict each other."""
    given = Wanted((found.image_path,) if found.image_path else (), file, (root,))
    by_path = images.find(given)
    if by_name.entry is None or by_path.entry is None:
        return _of_same_name(file) if by_path.entry is None and by_name.entry is not None else given
    if by_name.entry == by_path.entry:
        return given
    if _is_beside(file, by_name) and not by_path.in_full:
        return _of_same_name(file)  # the path is that of another machine, before files were renamed
    return Broken(
        file,
        f"it has the name of {printable(by_name.entry.path)}, but its imagePath is that of "
        f"{printable(by_path.entry.path)}",
        by_name.entry.path,
    )


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
        return Shape(one.label, partial(_pasted, one, round(x0), round(y0)), (one.mask, x0, y0))
    raise ValueError(f"a shape of '{printable(one.label)}' has the unknown type '{printable(kind)}'")


def _pasted(one: _Shape, left: int, top: int, height: int, width: int) -> np.ndarray:
    return pasted(one.label, _decode_mask(one), left, top).pixels(height, width)


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
