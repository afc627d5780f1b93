"""LabelMe annotations (labelme.io, the desktop tool, X-AnyLabeling): one JSON file beside each image.

    street1.jpg street1.json street2.jpg street2.json ...    in one folder, or in train/, val/, test/

A JSON file has the name of its image, or gives its path; if both exist and differ, neither is used. Several JSON files
of one image are drawn together. Where the image does not exist but the file contains it (`imageData`), that copy is
unpacked into the cache folder.

Polygons, rectangles (also rotated ones), circles and masks become pixels of their label, later shapes over earlier
ones; points and lines have no area and are left out. Pixels that no shape covers are `background`; pixels with the
label `__ignore__` are ignored. Classes are the labels in alphabetical order, after `background`.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.cached_files import cached_files
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

_WITHOUT_AREA = ("point", "points", "line", "linestrip", "polyline")
# Rectangles as all of their corners: X-AnyLabeling writes four, LabelMe before 5.5 two opposite ones.
_CORNERS = ("rectangle", "rotation", "oriented_rectangle", "rotated_rectangle", "quadrilateral")
_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif", b"RIFF": ".webp",
    b"GIF8": ".gif",
}  # fmt: skip
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


class _Embedded(msgspec.Struct, rename={"image_data": "imageData"}):
    image_data: str | None = None


def labelme_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if no image has a LabelMe JSON file beside it.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    files = list_files(root, ".json")
    if not any(_is_labelme(path) for path in files[:_PROBED_FILES]):
        return None
    listing = list_images(root)
    unpacked = _unpacked(root, files, listing.entries)
    drawn = draw(
        "labelme",
        root,
        [*files, *(entry.path for entry in (*listing.entries, *unpacked.values()))],
        lambda: merged(_pictures(root, files, listing.entries, unpacked)),
    )
    beside = {path.with_suffix("") for path in files}
    problems = [
        *listing.problems,
        *unannotated(listing.entries, drawn, "LabelMe JSON file", lambda path: path.with_suffix("") in beside),
    ]
    inside = f"; {len(unpacked)} of the images are those inside the JSON files" if unpacked else ""
    return drawn_layout(
        "labelme",
        f"LabelMe: a JSON file beside each image, drawn as masks into the cache folder{inside}",
        root,
        drawn,
        problems=problems,
    )


def _is_labelme(path: Path) -> bool:
    content = peek(path)
    # A damaged LabelMe file counts as well, so that it gets reported.
    return b'"shapes"' in content and (b'"imagePath"' in content or b'"shape_type"' in content)


def _unpacked(root: Path, files: list[Path], entries: Sequence[Entry]) -> dict[Path, Entry]:
    """JSON file -> the image that it contains, for those whose image exists nowhere else; files of the cache folder."""
    beside = {entry.path.with_suffix("") for entry in entries}
    alone = [file for file in files if file.with_suffix("") not in beside]
    if not alone:
        return {}
    sources = [*alone, *(entry.path for entry in entries)]
    folder = cached_files("labelme-images", root, sources, partial(_unpack, root, alone, entries))
    found = {entry.key: entry for entry in list_images(folder).entries}
    stems = {file: printable(file.relative_to(root).with_suffix("").as_posix()) for file in alone}
    return {file: found[stem] for file, stem in stems.items() if stem in found}


def _unpack(root: Path, files: list[Path], entries: Sequence[Entry], folder: Path) -> None:
    """Write the images that JSON files contain into a folder, at the paths of these files."""
    images = NamedImages(entries, root, stems=True)
    for file in files:
        try:
            found = read_json(file, _File)
            one = _wanted(file, found, images.find(_of_same_name(file)), images, root)
            if isinstance(one, Broken) or images.find(one).entry is not None:
                continue
            content = base64.b64decode(read_json(file, _Embedded).image_data or "", validate=True)
        except (DocumentError, binascii.Error, ValueError):
            continue  # reported when the file is drawn
        suffix = next((suffix for start, suffix in _SIGNATURES.items() if content.startswith(start)), None)
        if suffix is not None:
            path = folder / file.relative_to(root).with_suffix(suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _pictures(
    root: Path, files: list[Path], entries: Sequence[Entry], unpacked: Mapping[Path, Entry]
) -> Iterator[Read]:
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
        if file in unpacked:
            yield _picture(file, found, unpacked[file], split_of(file.relative_to(root).parts[:-1]))
        elif isinstance(one, Broken):
            yield one
        else:
            read.append((file, found))
            wanted.append(one)
    for (file, found), one, match in zip(read, wanted, images.find_all(wanted), strict=True):
        if match.entry is None:
            copy = "" if _has_no_copy(file) else "; its imageData is no image"
            yield Broken(file, f"its image {printable(found.image_path or file.stem)} {match.reason}{copy}")
            continue
        # The name of the JSON file is a convention; a path is a statement.
        elsewhere = (found.image_path or "") if match.elsewhere and one.names[0] == found.image_path else ""
        split = split_of(match.entry.path.relative_to(root).parts[:-1])
        yield _picture(file, found, match.entry, split, elsewhere)


def _picture(file: Path, found: _File, image: Entry, split: str | None, elsewhere: str = "") -> Picture | Broken:
    size = (found.height, found.width) if found.height and found.width else None
    try:
        with reading(file):
            shapes = [shape for one in found.shapes if (shape := _shape(one)) is not None]
    except DocumentError as error:
        return Broken(file, error.reason, image.path)
    skipped = [one.shape_type for one in found.shapes if one.shape_type in _WITHOUT_AREA]
    return Picture(split, image.key, image.path, size, shapes, file, skipped, elsewhere=elsewhere)


def _has_no_copy(file: Path) -> bool:
    try:
        return not read_json(file, _Embedded).image_data
    except DocumentError:
        return False


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
    if kind in _CORNERS and len(points) == 4:
        return _of_corners(one)
    if kind in ("rectangle", "circle", "mask") and len(points) != 2:
        expected = "2 or 4" if kind == "rectangle" else "2"
        raise ValueError(f"a {kind} of '{printable(one.label)}' has {len(points)} points; expected {expected}")
    if kind in _CORNERS and kind != "rectangle":
        raise ValueError(f"a shape of '{printable(one.label)}' ({kind}) has {len(points)} points; expected 4")
    (x0, y0), (x1, y1) = points[:2] if len(points) >= 2 else ((0, 0), (0, 0))
    if kind == "rectangle":
        return rectangle(one.label, x0, y0, x1, y1)
    if kind == "circle":
        radius = math.hypot(x1 - x0, y1 - y0)
        return ellipse(one.label, x0, y0, radius, radius)
    if kind == "mask":
        return Shape(one.label, partial(_pasted, one), (one.mask, x0, y0))
    raise ValueError(f"a shape of '{printable(one.label)}' has the unknown type '{printable(kind)}'")


def _of_corners(one: _Shape) -> Shape:
    """A rectangle given as its corners, in any order if its sides are horizontal and vertical."""
    columns, rows = ({round(point[axis], 3) for point in one.points} for axis in (0, 1))
    if len(columns) == len(rows) == 2:
        return rectangle(one.label, min(columns), min(rows), max(columns), max(rows))
    return polygon(one.label, [value for point in one.points for value in point])


def _pasted(one: _Shape, height: int, width: int) -> np.ndarray:
    """The pixels of a stored mask, whose first and last pixel the two points name, in columns and rows."""
    part = _decode_mask(one)
    (x0, y0), (x1, y1) = ((round(x), round(y)) for x, y in one.points)
    rows, columns = abs(y1 - y0) + 1, abs(x1 - x0) + 1
    # Some tools name the pixel after the last one.
    if abs(part.shape[0] - rows) > 1 or abs(part.shape[1] - columns) > 1:
        raise ValueError(
            f"a mask of '{printable(one.label)}' has {part.shape[1]}x{part.shape[0]} pixels (WxH), but its points "
            f"enclose {columns}x{rows}"
        )
    return pasted(one.label, part, min(x0, x1), min(y0, y1)).pixels(height, width)


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
