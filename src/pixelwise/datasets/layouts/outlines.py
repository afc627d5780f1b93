"""Draws mask files from the shapes in annotation files, once, into the user's cache folder.

LabelMe, COCO, YOLO, CVAT and Label Studio store annotated shapes instead of masks. Each of these layouts describes its
images as `Picture`s, from which ordinary mask files are drawn, so that everything after opening works as with any other
data. The masks are drawn again when the path, size or modification time of a source file changes; nothing is written
next to the data.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.layouts.drawn_findings import drawing_problems, drawn_twice
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.rasterising import draw_polygon
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.reading.limits import require_room
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.storage import portable, printable
from pixelwise.storage.cache_kinds import DRAWN
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, subject_of
from pixelwise.storage.documents import DocumentError, is_regular, parse_msgpack, read_document, reading

BACKGROUND = "background"
"""Label of pixels that no annotation covers: raw value 0 of every drawn mask."""
IGNORED_LABEL = "__ignore__"
"""Label of ignored pixels, named as in LabelMe."""
_BACKGROUND_NAMES = {BACKGROUND, "_background_"}

_INVISIBLE = "covers no pixel"
_INDEX = "index.msgpack"
_IGNORE = 255
# Raw values are uint16, and 255 stays reserved for ignored pixels.
_MAX_LABELS = 60000
# The mask, the area on top, and the pixels of a shape, twice.
_BYTES_PER_PIXEL = 12


class Shape(NamedTuple):
    """One annotated object.

    Attributes:
        label: Label of the object.
        pixels: (height, width) of the image -> bool (height, width); raises ValueError with the reason if the shape
            cannot be drawn.
        outline: What was annotated, hashable; equal for two shapes that are the same object. None if unknown.
    """

    label: str
    pixels: Callable[[int, int], np.ndarray]
    outline: Hashable = None


class Picture(NamedTuple):
    """One image and its annotations.

    Attributes:
        split: `train`, `val`, `test` or another; None if the layout has no splits.
        key: Id of the image, unique within its split.
        image: Path of the image file.
        size: (height, width) according to the annotation; None if it does not give one.
        shapes: The shapes from bottom to top.
        smaller_on_top: Whether the smaller of two overlapping shapes lies on top, whatever their order; the order then
            only decides between equal areas.
        source: Path of the annotation file, for messages.
        skipped: Kinds of shapes without an area (`point`, `line`), which are left out.
        elsewhere: The path that the annotation writes, if the image was found in another folder.
    """

    split: str | None
    key: str
    image: Path
    size: tuple[int, int] | None
    shapes: Sequence[Shape]
    source: Path
    skipped: Sequence[str] = ()
    smaller_on_top: bool = False
    elsewhere: str = ""


class Broken(NamedTuple):
    """An annotation that cannot be used.

    Attributes:
        file: The file that holds the annotation.
        reason: The reason; follows the file's name in a message.
        image: The image that it annotates, if known.
    """

    file: Path
    reason: str
    image: Path | None = None


class Unused(NamedTuple):
    """A file, or a part of it, that holds nothing to draw and is left out.

    Attributes:
        file: The file.
        reason: What it holds; follows the file's name in a message.
    """

    file: Path
    reason: str


Read = Picture | Broken | Unused
"""What a reader of annotations gives."""


class Drawn(NamedTuple):
    """The drawn masks of a data set.

    Attributes:
        splits: Samples with the drawn masks, by split.
        label_names: Raw value of the masks -> label.
        problems: D230 for annotations that cannot be used, W221 for shapes without an area, W223 for what else is left
            out, W225 for images that were found elsewhere, W216 for images outside the split folders, D221 if there is
            no annotated image.
    """

    splits: dict[str, tuple[Sample, ...]]
    label_names: dict[int, str]
    problems: tuple[Finding, ...]


class _Row(msgspec.Struct, array_like=True):
    split: str | None
    key: str
    image: bytes
    mask: str


class _Index(msgspec.Struct):
    names: dict[int, str]
    rows: list[_Row]
    problems: list[Finding]


def draw(kind: str, root: Path, sources: Iterable[Path], pictures: Callable[[], Iterable[Read]]) -> Drawn:
    """Draw the masks of all pictures, unless an earlier call drew them from the same files.

    Args:
        kind: Name of the layout.
        root: Folder of the data set; once the new masks exist, older ones of this data set are removed.
        sources: All files that the result of `pictures` depends on.
        pictures: Reads the annotations; called only if masks have to be drawn.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
        DataError: D232, `pictures` gives two of one image and split; any that `pictures` raises.
    """
    subject = subject_of(root.absolute())
    folder = entry_path(DRAWN, stat_signature(sources)[:24], variant=kind, subject=subject)
    try:
        if not intact_entry(folder):
            raise DocumentError(folder, "is missing or damaged")
        index = parse_msgpack(read_document(folder / _INDEX), _Index, folder / _INDEX)
        if not all(b"\0" not in row.image and is_regular(folder / row.mask) for row in index.rows):
            raise DocumentError(folder / _INDEX, "names files that cannot exist")
    except DocumentError:
        with building_entry(DRAWN, folder, variant=kind, subject=subject) as unfinished:
            index = _draw_all(pictures(), unfinished)
    samples: dict[str | None, list[Sample]] = {}
    for row in index.rows:
        samples.setdefault(row.split, []).append(Sample(row.key, Path(os.fsdecode(row.image)), folder / row.mask))
    in_split = {name: tuple(sorted(found, key=lambda sample: sample.id)) for name, found in samples.items()}
    without_split = in_split.pop(None, ())
    splits: dict[str, tuple[Sample, ...]] = {name: found for name, found in in_split.items() if name is not None}
    # Images outside the split folders belong to no split.
    return Drawn(in_order(splits) if splits else divided(without_split), index.names, tuple(index.problems))


def drawn_layout(
    name: str, description: str, root: Path, drawn: Drawn, classes: Sequence[str] | None = None,
    problems: Sequence[Finding] = (),
) -> Layout:  # fmt: skip
    """The layout of drawn masks.

    Args:
        name: Name of the format, as in `data.dataset`.
        description: The layout in words.
        root: Folder of the data set.
        drawn: The masks that were drawn.
        classes: Labels in the order of the annotations' own list; None sorts them by name. Either way, `background`
            comes first, and labels missing from the list come last.
        problems: Findings in addition to those of drawing.
    """
    labels = sorted(name for name in drawn.label_names.values() if name not in (BACKGROUND, IGNORED_LABEL))
    ordered = [label for label in dict.fromkeys(classes or ()) if label not in (*_BACKGROUND_NAMES, IGNORED_LABEL)]
    return Layout(
        name=name,
        description=description,
        root=root,
        splits=drawn.splits,
        problems=(*problems, *drawn.problems),
        classes=(BACKGROUND, *dict.fromkeys([*ordered, *labels])),
        label_names=drawn.label_names,
        lists_classes=classes is not None,
    )


def _draw_all(pictures: Iterable[Read], folder: Path) -> _Index:
    """Write all masks and then the index into a folder.

    Raises:
        DataError: D232, two pictures show one image: their masks would contradict each other.
    """
    raw_of = dict.fromkeys(_BACKGROUND_NAMES, 0) | {IGNORED_LABEL: _IGNORE}
    rows: list[_Row] = []
    broken: list[Broken] = []
    skipped: list[tuple[Path, str]] = []
    unused: list[Unused] = []
    elsewhere: list[tuple[str, Path]] = []
    drawn: dict[tuple[str | None, Path], Path] = {}
    keys: set[tuple[str | None, str]] = set()
    for picture in pictures:
        if isinstance(picture, Broken):
            broken.append(picture)
            continue
        if isinstance(picture, Unused):
            unused.append(picture)
            continue
        place = (picture.split, picture.image.absolute())
        if place in drawn:
            raise drawn_twice(picture.image, drawn[place], picture.source)
        drawn[place] = picture.source
        try:
            with reading(picture.source):
                mask, invisible = _paint(picture, raw_of)
        except DocumentError as error:
            broken.append(Broken(picture.source, f"{printable(picture.image.name)}: {error.reason}", picture.image))
            continue
        # The stem of the image helps to recognise a mask that a message names.
        name = f"{portable(f'{len(rows):06d}-{picture.image.stem[:50]}', ending='.png')}.png"
        _, png = cv2.imencode(".png", mask, (cv2.IMWRITE_PNG_COMPRESSION, 1))
        (folder / name).write_bytes(png.tobytes())
        # `a.jpg` and `a.png` are two images.
        key = f"{picture.key}{picture.image.suffix}" if (picture.split, picture.key) in keys else picture.key
        keys.add((picture.split, key))
        rows.append(_Row(picture.split, key, os.fsencode(picture.image.absolute()), name))
        skipped += [(picture.source, kind) for kind in (*picture.skipped, *[_INVISIBLE] * invisible)]
        elsewhere += [(picture.elsewhere, picture.image)] if picture.elsewhere else []
    names = {raw: name for name, raw in raw_of.items() if name not in _BACKGROUND_NAMES} | {0: BACKGROUND}
    images = [(row.split, printable(os.fsdecode(row.image))) for row in rows]
    problems = drawing_problems(images, [(one.file, one.reason) for one in broken], skipped, unused, elsewhere)
    index = _Index(names, rows, problems)
    (folder / _INDEX).write_bytes(msgspec.msgpack.encode(index))
    return index


def _paint(picture: Picture, raw_of: dict[str, int]) -> tuple[np.ndarray, int]:
    """Draw one mask, uint8 or uint16 (H, W) raw values, and count the shapes that cover no pixel.

    New labels get the next raw value in `raw_of`.

    Raises:
        ValueError: A shape cannot be drawn, or there are too many labels.
    """
    try:
        stored, upright = image_sizes(picture.image)
    except DataError:
        # The audit reports what is wrong with the image; its mask does not matter.
        return np.zeros((1, 1), np.uint8), 0
    height, width = picture.size or upright
    if (height, width) not in (stored, upright):
        raise ValueError(f"it was annotated at {width}x{height} (WxH), but the image is {upright[1]}x{upright[0]}")
    try:
        require_room(picture.image, _BYTES_PER_PIXEL * height * width)
    except DataError as error:
        raise ValueError(error.message) from error
    mask = np.zeros((height, width), np.uint16)
    area_on_top = np.full((height, width), height * width, np.int64) if picture.smaller_on_top else None
    invisible = 0
    for shape in picture.shapes:
        if shape.label not in raw_of:
            # `raw_of` starts with two names for 0 and one for 255, so the first label gets raw value 1.
            raw = len(raw_of) - len(_BACKGROUND_NAMES)
            if raw > _MAX_LABELS:
                raise ValueError(f"more than {_MAX_LABELS} different labels")
            raw_of[shape.label] = raw if raw < _IGNORE else raw + 1
        pixels = shape.pixels(height, width)
        area = np.count_nonzero(pixels)
        invisible += area == 0
        if area_on_top is not None:
            pixels = pixels & (area <= area_on_top)
            area_on_top[pixels] = area
        mask[pixels] = raw_of[shape.label]
    return mask.astype(np.uint8) if mask.max() <= _IGNORE else mask, invisible


def unannotated(
    entries: Iterable[Entry], drawn: Drawn, what: str, is_named: Callable[[Path], bool] = lambda path: False
) -> list[Finding]:
    """W222 for images without an annotation; empty if there are none.

    Args:
        entries: The images of the data set.
        drawn: The masks drawn from the annotations.
        what: Name of the missing annotation, for the message.
        is_named: Whether an annotation names an image, even one that cannot be used: another finding reports that.
    """
    used = {sample.image_path for samples in drawn.splits.values() for sample in samples}
    files = [printable(e.path) for e in entries if e.path.absolute() not in used and not is_named(e.path)]
    if not files:
        return []
    return [
        finding(
            "W222",
            f"{len(files)} images have no {what} and are left out, e.g. {files[0]}",
            files,
            "annotate them, or ignore this warning; an image without objects needs an empty annotation",
        )
    ]


def polygon(label: str, corners: Sequence[float]) -> Shape:
    """A polygon with corners `x0, y0, x1, y1, ...` in pixels; see `layouts.rasterising.draw_polygon`."""

    def pixels(height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        draw_polygon(corners, mask)
        return mask

    return Shape(label, pixels, tuple(corners))


def rectangle(label: str, left: float, top: float, right: float, bottom: float) -> Shape:
    """A rectangle between two opposite corners, in any order."""
    (x0, x1), (y0, y1) = sorted((left, right)), sorted((top, bottom))
    return polygon(label, (x0, y0, x1, y0, x1, y1, x0, y1))


def turned_rectangle(
    label: str, pivot: tuple[float, float], corners: tuple[float, float, float, float], degrees: float
) -> Shape:
    """A rotated rectangle.

    Args:
        label: Label of the object.
        pivot: x and y of the centre of rotation.
        corners: left, top, right and bottom before the rotation, relative to the pivot.
        degrees: Angle of rotation, clockwise.
    """
    left, top, right, bottom = corners
    cosine, sine = _cosine_and_sine("rectangle", degrees)
    turned = (
        number
        for u, v in ((left, top), (right, top), (right, bottom), (left, bottom))
        for number in (pivot[0] + u * cosine - v * sine, pivot[1] + u * sine + v * cosine)
    )
    return polygon(label, tuple(turned))


def ellipse(label: str, x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> Shape:
    """The pixels whose centres lie within an ellipse around (x, y), rotated clockwise about its centre."""
    cosine, sine = _cosine_and_sine("ellipse", degrees)

    def pixels(height: int, width: int) -> np.ndarray:
        if not np.isfinite((x, y, radius_x, radius_y)).all():
            raise ValueError("the centre or the radii of an ellipse are not finite")
        dx, dy = (np.arange(width) + 0.5 - x)[None], (np.arange(height) + 0.5 - y)[:, None]
        along, across = (dx, dy) if sine == 0 and cosine == 1 else (dx * cosine + dy * sine, dy * cosine - dx * sine)
        return (along / max(abs(radius_x), 1e-9)) ** 2 + (across / max(abs(radius_y), 1e-9)) ** 2 <= 1

    return Shape(label, pixels)


def _cosine_and_sine(what: str, degrees: float) -> tuple[float, float]:
    if not math.isfinite(degrees):
        raise ValueError(f"the {what} is rotated by {degrees} degrees; expected a finite angle")
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def pasted(label: str, part: np.ndarray, left: int, top: int) -> Shape:
    """A shape given as bool (h, w) pixels whose upper left corner is at (left, top); clipped to the image."""

    def pixels(height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        y0, x0 = max(0, top), max(0, left)
        y1, x1 = min(height, top + part.shape[0]), min(width, left + part.shape[1])
        if y0 < y1 and x0 < x1:
            mask[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]
        return mask

    return Shape(label, pixels)
