"""Outlines in annotation files -> mask files, drawn once into the user's cache folder.

Annotations of LabelMe, COCO, YOLO, CVAT and Label Studio say what is where, but hold no masks. Each of
these layouts describes its images as `Picture`s; what is drawn from them are ordinary mask files, so
everything after opening works as with any other data. The masks are drawn again when the path, size
or modification time of a file they come from changes; nothing is written beside the data.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.rasterising import draw_polygon
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.storage import portable, printable
from pixelwise.storage.cache_kinds import DRAWN
from pixelwise.storage.caches import building_entry, entry_path, subject_of
from pixelwise.storage.locks import keep_in_use

BACKGROUND = "background"
"""Name of what no annotation covers: raw value 0 of every drawn mask."""
IGNORED_LABEL = "__ignore__"
"""Pixels of this label are ignored; the name is LabelMe's."""
_BACKGROUND_NAMES = {BACKGROUND, "_background_"}

_INDEX = "index.msgpack"
_IGNORE = 255
# Raw values are uint16, and 255 keeps its meaning.
_MAX_LABELS = 60000


class Shape(NamedTuple):
    """One annotated object.

    Attributes:
        label: Name of its class.
        pixels: (height, width) of the image -> bool (height, width); raises ValueError, in words.
    """

    label: str
    pixels: Callable[[int, int], np.ndarray]


class Picture(NamedTuple):
    """One image and what is annotated in it.

    Attributes:
        split: `train`, `val`, `test` or another; None where the layout knows no splits.
        key: Unique in its split.
        image: Path of the image file.
        size: (height, width) by the annotation; None where it does not say.
        shapes: The shapes from the lowest to the uppermost.
        smaller_on_top: Whether the smaller of two shapes that overlap lies on top, whatever their
            order; it decides between equal areas only.
        source: The file with its annotation, for messages.
        skipped: Kinds of shapes without an area (`point`, `line`), which are left out.
    """

    split: str | None
    key: str
    image: Path
    size: tuple[int, int] | None
    shapes: Sequence[Shape]
    source: Path
    skipped: Sequence[str] = ()
    smaller_on_top: bool = False


class Broken(NamedTuple):
    """An annotation that cannot be used.

    Attributes:
        file: The file that holds the annotation.
        reason: Reason in words; follows the file's name.
    """

    file: Path
    reason: str


class Drawn(NamedTuple):
    """The result of drawing.

    Attributes:
        splits: Samples whose masks are the drawn ones.
        label_names: Raw value of the masks -> name of the label.
        problems: D230 for what cannot be used, W221 for shapes without an area, D221 for no image at all.
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


def draw(kind: str, root: Path, sources: Iterable[Path], pictures: Callable[[], Iterable[Picture | Broken]]) -> Drawn:
    """Draw the masks of all pictures, unless an earlier call drew them from the same files.

    Args:
        kind: Name of the layout.
        root: The data set's folder: masks that were drawn of it before go when new ones are there.
        sources: Every file that what `pictures` gives depends on.
        pictures: Reads the pictures; called only where they have to be drawn.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
        DataError: What `pictures` raises.
    """
    subject = subject_of(root.absolute())
    folder = entry_path(DRAWN, stat_signature(sources)[:24], variant=kind, subject=subject)
    keep_in_use(folder)
    try:
        index = msgspec.msgpack.decode((folder / _INDEX).read_bytes(), type=_Index)
    except (OSError, msgspec.DecodeError):
        with building_entry(DRAWN, folder, variant=kind, subject=subject) as unfinished:
            index = _draw_all(pictures(), unfinished)
    samples: dict[str | None, list[Sample]] = {}
    for row in index.rows:
        samples.setdefault(row.split, []).append(Sample(row.key, Path(os.fsdecode(row.image)), folder / row.mask))
    in_split = {name: tuple(sorted(found, key=lambda sample: sample.id)) for name, found in samples.items()}
    without_split = in_split.pop(None, ())
    splits: dict[str, tuple[Sample, ...]] = {name: found for name, found in in_split.items() if name is not None}
    # Images beside the folders of splits belong to none of them.
    return Drawn(in_order(splits) if splits else divided(without_split), index.names, tuple(index.problems))


def drawn_layout(
    name: str, description: str, root: Path, drawn: Drawn, classes: Sequence[str] | None = None,
    problems: Sequence[Finding] = (),
) -> Layout:  # fmt: skip
    """The layout of drawn masks.

    Args:
        name: What `data.dataset` calls it.
        description: The layout in words.
        root: Folder of the data set.
        drawn: The masks that were drawn.
        classes: Labels in the order of the annotations' own list; None orders them by name. Either
            way `background` comes first, and labels that are missing in the list come last.
        problems: Findings besides those of drawing.
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
    )


def _draw_all(pictures: Iterable[Picture | Broken], folder: Path) -> _Index:
    """Write all masks and then the index into a folder."""
    raw_of = dict.fromkeys(_BACKGROUND_NAMES, 0) | {IGNORED_LABEL: _IGNORE}
    rows: list[_Row] = []
    broken: list[Broken] = []
    skipped: list[tuple[Path, str]] = []
    for picture in pictures:
        if isinstance(picture, Broken):
            broken.append(picture)
            continue
        try:
            mask = _paint(picture, raw_of)
        except (ValueError, TypeError, OverflowError) as error:
            broken.append(Broken(picture.source, f"{printable(picture.image.name)}: {error}"))
            continue
        # The stem is kept for whoever looks at a mask that a message names.
        name = f"{portable(f'{len(rows):06d}-{picture.image.stem[:50]}', ending='.png')}.png"
        _, png = cv2.imencode(".png", mask, (cv2.IMWRITE_PNG_COMPRESSION, 1))
        (folder / name).write_bytes(png.tobytes())
        rows.append(_Row(picture.split, picture.key, os.fsencode(picture.image.absolute()), name))
        skipped += [(picture.source, kind) for kind in picture.skipped]
    names = {raw: name for name, raw in raw_of.items() if name not in _BACKGROUND_NAMES} | {0: BACKGROUND}
    index = _Index(names, rows, _problems(rows, broken, skipped))
    (folder / _INDEX).write_bytes(msgspec.msgpack.encode(index))
    return index


def _paint(picture: Picture, raw_of: dict[str, int]) -> np.ndarray:
    """uint8 or uint16 (H, W) raw values; new labels get the next raw value in `raw_of`.

    Raises:
        ValueError: A shape cannot be drawn, or there are too many labels.
    """
    try:
        stored, upright = image_sizes(picture.image)
    except DataError:
        # The audit says what is wrong with the image; its mask does not matter.
        return np.zeros((1, 1), np.uint8)
    height, width = picture.size or upright
    if (height, width) not in (stored, upright):
        raise ValueError(f"it was annotated at {height}x{width} (HxW), but the image is {upright[0]}x{upright[1]}")
    mask = np.zeros((height, width), np.uint16)
    area_on_top = np.full((height, width), height * width, np.int64) if picture.smaller_on_top else None
    for shape in picture.shapes:
        if shape.label not in raw_of:
            # Three names stand for raw values that are no label of the data.
            raw = len(raw_of) - len(_BACKGROUND_NAMES)
            if raw > _MAX_LABELS:
                raise ValueError(f"more than {_MAX_LABELS} different labels")
            raw_of[shape.label] = raw if raw < _IGNORE else raw + 1
        pixels = shape.pixels(height, width)
        if area_on_top is not None:
            area = np.count_nonzero(pixels)
            pixels = pixels & (area <= area_on_top)
            area_on_top[pixels] = area
        mask[pixels] = raw_of[shape.label]
    return mask.astype(np.uint8) if mask.max() <= _IGNORE else mask


def _problems(rows: Sequence[_Row], broken: Sequence[Broken], skipped: Sequence[tuple[Path, str]]) -> list[Finding]:
    problems = []
    if broken:
        first = f"{printable(broken[0].file)}: {broken[0].reason}"
        problems.append(
            finding(
                "D230",
                first if len(broken) == 1 else f"{len(broken)} annotations cannot be used, e.g. {first}",
                # One file may hold the annotations of all images.
                list(dict.fromkeys(printable(one.file) for one in broken)),
                "correct or export them again, or train without these images: 'data.allow=[\"D230\"]'",
            )
        )
    if skipped:
        kinds = ", ".join(sorted({kind for _, kind in skipped}))
        problems.append(
            finding(
                "W221",
                f"{len(skipped)} shapes without an area are left out ({kinds}), e.g. in {printable(skipped[0][0])}",
                list(dict.fromkeys(printable(file) for file, _ in skipped)),
                "outline these objects by polygons if they are to be learnt",
            )
        )
    left_out = [row for row in rows if row.split is None] if any(row.split is not None for row in rows) else []
    if left_out:
        files = [printable(os.fsdecode(row.image)) for row in left_out]
        problems.append(
            finding(
                "W216",
                f"{len(files)} images lie beside the folders of the splits and are left out, e.g. {files[0]}",
                files,
                "move them into train/, val/ or test/",
            )
        )
    if not rows:
        text = "no annotated image was found"
        problems.append(finding("D221", text, [], "images and annotations have the same names, endings aside"))
    return problems


def unannotated(
    entries: Iterable[Entry], drawn: Drawn, what: str, is_named: Callable[[Path], bool] = lambda path: False
) -> list[Finding]:
    """W222 about images that no annotation is for, or nothing.

    Args:
        entries: The images of the data set.
        drawn: What the annotations became.
        what: What these images lack, in words.
        is_named: Whether an annotation names an image, even if it cannot be used: another finding is about that.
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
            "annotate them, or ignore this; an image without objects needs an annotation that is empty",
        )
    ]


def polygon(label: str, corners: Sequence[float]) -> Shape:
    """A shape of x and y in turn, in pixels; see `pixelwise.datasets.layouts.rasterising.draw_polygon`."""

    def pixels(height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        draw_polygon(corners, mask)
        return mask

    return Shape(label, pixels)


def rectangle(label: str, left: float, top: float, right: float, bottom: float) -> Shape:
    """A shape between two corners, in any order."""
    (x0, x1), (y0, y1) = sorted((left, right)), sorted((top, bottom))
    return polygon(label, (x0, y0, x1, y0, x1, y1, x0, y1))


def turned_rectangle(
    label: str, pivot: tuple[float, float], corners: tuple[float, float, float, float], degrees: float
) -> Shape:
    """A shape between two corners, turned.

    Args:
        label: Name of its class.
        pivot: x and y of the point that stays where it is.
        corners: left, top, right and bottom before turning, from the pivot.
        degrees: Angle, clockwise.
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
    """The pixels whose centres lie within an ellipse around (x, y), turned clockwise about its centre."""
    cosine, sine = _cosine_and_sine("ellipse", degrees)

    def pixels(height: int, width: int) -> np.ndarray:
        if not np.isfinite((x, y, radius_x, radius_y)).all():
            raise ValueError("an ellipse's numbers are not finite")
        dx, dy = (np.arange(width) + 0.5 - x)[None], (np.arange(height) + 0.5 - y)[:, None]
        along, across = (dx, dy) if sine == 0 and cosine == 1 else (dx * cosine + dy * sine, dy * cosine - dx * sine)
        return (along / max(abs(radius_x), 1e-9)) ** 2 + (across / max(abs(radius_y), 1e-9)) ** 2 <= 1

    return Shape(label, pixels)


def _cosine_and_sine(what: str, degrees: float) -> tuple[float, float]:
    if not math.isfinite(degrees):
        raise ValueError(f"the rotation of a {what} is {degrees}")
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def pasted(label: str, part: np.ndarray, left: int, top: int) -> Shape:
    """A shape given as bool (h, w) pixels whose upper left corner is at (left, top); cut at the borders."""

    def pixels(height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        y0, x0 = max(0, top), max(0, left)
        y1, x1 = min(height, top + part.shape[0]), min(width, left + part.shape[1])
        if y0 < y1 and x0 < x1:
            mask[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]
        return mask

    return Shape(label, pixels)
