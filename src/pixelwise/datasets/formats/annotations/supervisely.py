"""Projects of Supervisely, and the data sets of Dataset Ninja: a folder of annotations beside every folder of images.

    meta.json     NAME/img/street.jpg     NAME/ann/street.jpg.json      (older exports: street.json)

Every NAME is a data set of the project. It is a split if it is called `train`, `val` or `test`; a tag of this name at
the image itself counts more. Polygons with their holes, bitmaps and rectangles become pixels of their class, later
objects over earlier ones. Coordinates are indices of pixels, and the outline belongs to the object. Points, lines and
graphs have no area and are left out. Classes are those of `meta.json`, after `background`.
"""

from __future__ import annotations

import base64
import binascii
import io
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.format import MASKS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_files, list_images, subfolders
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted
from pixelwise.datasets.layouts.outlines import (
    Broken,
    Picture,
    Read,
    Shape,
    Unused,
    draw,
    drawn_layout,
    pasted,
    unannotated,
)
from pixelwise.datasets.layouts.words import SPLIT_NAMES, split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.errors import DataError
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_json, reading

_META = "meta.json"
_WITHOUT_AREA = ("point", "line", "polyline", "graph", "point_cloud")
_MAX_COORDINATE = 2**20
_PNG_HEADER = 4096


class _Class(msgspec.Struct):
    title: str


class _Meta(msgspec.Struct):
    classes: list[_Class]


class _Tag(msgspec.Struct):
    name: str = ""


class _Points(msgspec.Struct):
    exterior: list[tuple[float, float]]
    interior: list[list[tuple[float, float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: tuple[int, int]


class _Object(msgspec.Struct, rename={"title": "classTitle", "kind": "geometryType"}):
    title: str
    kind: str = ""
    points: _Points | None = None
    bitmap: _Bitmap | None = None


class _Size(msgspec.Struct):
    height: int
    width: int


class _File(msgspec.Struct):
    size: _Size
    objects: list[Any]
    tags: list[_Tag] = []


def supervisely_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if no folder `ann` lies beside a folder `img`.

    Raises:
        DataError: D230, `meta.json` cannot be read.
        ResourceError: S601, the disk of the cache folder is full.
    """
    files = [path for folder in _folders(root) for path in list_files(folder / "ann", ".json")]
    if not any(_is_annotation(path) for path in files):
        return None
    listing = list_images(root)
    entries = [entry for entry in listing.entries if entry.path.parent.name.lower() == "img"]
    meta = next((path for path in (root / _META, root.parent / _META) if path.is_file()), None)
    classes = _classes(meta) if meta is not None else None
    drawn = draw(
        "supervisely",
        root,
        [*files, *(entry.path for entry in entries)],
        lambda: merged(_pictures(root, files, entries)),
    )
    # Whatever lies in other folders was rendered from the annotations.
    problems = [*listing.problems, *unannotated(entries, drawn, "annotation in ann/", _is_named(files))]
    description = "Supervisely: annotations beside the images, drawn as masks into the cache folder"
    return drawn_layout("supervisely", description, root, drawn, classes, problems)


def _folders(root: Path, depth: int = 4) -> Iterator[Path]:
    """The folders that hold both `img` and `ann`; data sets may lie within each other, below `datasets/`."""
    inner = subfolders(root)
    if {"img", "ann"} <= inner.keys():
        yield root
    if depth:
        for name, folder in inner.items():
            if name not in ("img", "ann", "meta") and not name.startswith("masks"):
                yield from _folders(folder, depth - 1)


def _is_named(files: Sequence[Path]) -> Any:
    named = {file.parent.parent / "img" / file.stem for file in files}
    return lambda path: path in named or path.with_suffix("") in named


def _is_annotation(path: Path) -> bool:
    content = peek(path)
    # A damaged annotation counts as well, so that it gets reported.
    return b'"objects"' in content and b'"size"' in content


def _looks_like_supervisely(root: Path) -> bool:
    folder = next(_folders(root, 2), None)
    if folder is None:
        return False
    return b'"classes"' in peek(root / _META) or any(
        _is_annotation(path) for path in sorted((folder / "ann").glob("*.json"))[:5]
    )


def _classes(meta: Path) -> list[str]:
    try:
        return [one.title for one in read_json(meta, _Meta).classes]
    except DocumentError as error:
        help = "export the project from Supervisely again"
        raise DataError("D230", error.message, help) from error


def _pictures(root: Path, files: Sequence[Path], entries: Sequence[Entry]) -> Iterator[Read]:
    images = NamedImages(entries, root, stems=True)
    read: list[tuple[Path, _File]] = []
    wanted: list[Wanted] = []
    for file in files:
        try:
            read.append((file, read_json(file, _File)))
            wanted.append(Wanted((f"../img/{file.stem}",), file))
        except DocumentError as error:
            if _is_annotation(file):
                yield Broken(file, f"not an annotation of Supervisely: {error.reason}")
            else:
                yield Unused(file, "a JSON file in another format than Supervisely's")
    for (file, found), match in zip(read, images.find_all(wanted), strict=True):
        if match.entry is None:
            yield Broken(file, f"its image {printable(file.stem)} {match.reason}")
            continue
        path = match.entry.path
        try:
            with reading(file):
                objects = [msgspec.convert(one, _Object) for one in found.objects]
                kinds = [_kind(one) for one in objects]
                shapes = [
                    _shape(one, kind) for one, kind in zip(objects, kinds, strict=True) if kind not in _WITHOUT_AREA
                ]
        except DocumentError as error:
            yield Broken(file, error.reason, path)
            continue
        tags = [SPLIT_NAMES[tag.name.lower()] for tag in found.tags if tag.name.lower() in SPLIT_NAMES]
        if len(set(tags)) > 1:
            yield Broken(file, f"the image is tagged {' and '.join(sorted(set(tags)))}", path)
            continue
        split = tags[0] if tags else split_of(path.relative_to(root).parts[:-1])
        skipped = [kind for kind in kinds if kind in _WITHOUT_AREA]
        yield Picture(split, match.entry.key, path, (found.size.height, found.size.width), shapes, file, skipped)


def _kind(one: _Object) -> str:
    """The type of an object, which the oldest exports do not name."""
    if one.kind:
        return one.kind
    return "bitmap" if one.bitmap is not None else "polygon"


def _shape(one: _Object, kind: str) -> Shape:
    """The shape of an object.

    Raises:
        ValueError: The type is unknown, or the coordinates do not fit it.
    """
    what = f"{kind} of '{printable(one.title)}'"
    if kind == "bitmap" and one.bitmap is not None:
        return Shape(one.title, partial(_pasted, one.title, one.bitmap), (one.bitmap.data, one.bitmap.origin))
    if kind not in ("polygon", "rectangle") or one.points is None:
        raise ValueError(f"a {what} cannot be read; expected polygons, bitmaps or rectangles")
    outline = one.points.exterior
    if kind == "rectangle":
        if len(outline) != 2:
            raise ValueError(f"a {what} has {len(outline)} points; expected 2")
        (x0, y0), (x1, y1) = outline
        outline = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    if len(outline) < 3:
        raise ValueError(f"a {what} has {len(outline)} points; expected 3 or more")
    rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in (outline, *one.points.interior) if len(ring)]
    if not all(np.isfinite(ring).all() and np.abs(ring).max() < _MAX_COORDINATE for ring in rings):
        raise ValueError(f"a {what} has coordinates far outside the image")
    return Shape(one.title, partial(_filled, rings), tuple(map(tuple, (*outline, *one.points.interior))))


def _filled(rings: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """The pixels of an outline, which belong to it, without those of its holes."""
    mask = np.zeros((height, width), np.uint8)
    for number, ring in enumerate(rings):
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 0 if number else 1)
    return mask > 0


def _pasted(label: str, bitmap: _Bitmap, height: int, width: int) -> np.ndarray:
    """The pixels of a PNG that is compressed once more and written in base64."""
    try:
        packed = base64.b64decode(bitmap.data, validate=True)
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, 8 * height * width + _PNG_HEADER)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.width > width or image.height > height:
                size = f"{image.width}x{image.height}"
                raise ValueError(f"it has {size} pixels (WxH), more than its image")
            values: Any = np.asarray(image.getchannel("A") if image.mode in ("RGBA", "LA") else image.convert("L"))
    except (binascii.Error, zlib.error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"a bitmap of '{printable(label)}' cannot be decoded: {error}") from error
    return pasted(label, values > 0, bitmap.origin[0], bitmap.origin[1]).pixels(height, width)


def _write(root: Path, scenes: Scenes) -> None:
    """Write one data set per split; every object is a rectangle, whose corners are its first and last pixel."""
    classes = [{"title": name, "shape": "rectangle", "color": "#FF0000"} for name in scenes.classes[1:]]
    write_text(root / _META, json_text({"classes": classes, "tags": [], "projectType": "images"}))
    for split, members in scenes.splits.items():
        (root / split / "ann").mkdir(parents=True)
        for number, scene in enumerate(members):
            (height, width), name = scene.labels.shape, f"{number:04d}.png"
            write_image(root / split / "img" / name, scene.image)
            objects = [
                {
                    "classTitle": scenes.classes[class_id],
                    "geometryType": "rectangle",
                    "points": {"exterior": [[left, top], [right - 1, bottom - 1]], "interior": []},
                    "tags": [],
                }
                for class_id, left, top, right, bottom in scene.boxes
            ]
            content = {"description": "", "tags": [], "size": {"height": height, "width": width}, "objects": objects}
            write_text(root / split / "ann" / f"{name}.json", json_text(content))


register(
    Format(
        name="supervisely",
        title="Supervisely",
        expected="meta.json, and NAME/img/a.jpg with NAME/ann/a.jpg.json",
        layout=supervisely_layout,
        recognise=_looks_like_supervisely,
        # Above folders of masks, which were rendered from the annotations in colours.
        priority=MASKS + 1,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
