"""Custom annotations in COCO's JSON format: polygons or run-length encodings of any categories.

    train/_annotations.coco.json train/a.jpg valid/...      (Roboflow)
    annotations/instances_train2017.json train2017/...      (COCO's own layout)
    annotations/instances_train.json images/...             annotations.json images/...

The name of the JSON file, of its folder or of a folder above the image gives the split; without any, the images are
split 80:20 into train and val. Categories become classes in the order of their ids, after `background`. Where objects
overlap, the smaller one lies on top; of equal areas, the one with the larger id. Boxes without an outline are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_images, subfolders
from pixelwise.datasets.layouts.named_images import NamedImages, file_name
from pixelwise.datasets.layouts.outlines import Broken, Picture, Shape, draw, drawn_layout, unannotated
from pixelwise.datasets.layouts.rasterising import draw_segmentation
from pixelwise.datasets.layouts.words import SPLIT_NAMES, split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.errors import DataError
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_json

_HELP = "export the annotations as `COCO instances`, with polygons or run-length encodings"
_WORDS = re.compile(r"[a-z]+")
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    height: int
    width: int


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int
    id: int | str = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"[]")


class _Category(msgspec.Struct):
    id: int
    name: str
    supercategory: str | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def coco_own_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no JSON file in COCO's format.

    Raises:
        DataError: D230, a JSON file is damaged.
        ResourceError: S601, the disk of the cache folder is full.
    """
    files = [path for path in _candidates(root) if _is_coco(path)]
    if not files:
        return None
    listing = list_images(root)
    read = {file: _read(file) for file in files}
    sources = [*files, *(entry.path for entry in listing.entries)]
    drawn = draw("coco", root, sources, lambda: _pictures(root, read, listing.entries))
    named = {file_name(image.file_name) for found in read.values() for image in found.images}
    without = unannotated(listing.entries, drawn, "entry in a JSON file", lambda path: path.name in named)
    return drawn_layout(
        "coco",
        f"COCO's JSON format: {', '.join(printable(file.relative_to(root).as_posix()) for file in files[:3])}, "
        "drawn as masks into the cache folder",
        root,
        drawn,
        _names(read.values()),
        [*listing.problems, *without],
    )


def _candidates(root: Path) -> list[Path]:
    folders = [root, *(path for name, path in subfolders(root).items() if name in ("annotations", *SPLIT_NAMES))]
    return [path for folder in folders for path in sorted(folder.glob("*.json")) if path.is_file()]


def _is_coco(path: Path) -> bool:
    content = peek(path)
    return all(key in content for key in _KEYS)


def _read(file: Path) -> _File:
    try:
        return read_json(file, _File)
    except DocumentError as error:
        raise DataError("D230", error.message, _HELP) from error


def _names(files: Iterable[_File]) -> list[str]:
    """Category names in the order of their ids, without unused supercategories (Roboflow's first category)."""
    found = list(files)
    used = {annotation.category_id for one in found for annotation in one.annotations}
    groups = {category.supercategory for one in found for category in one.categories}
    categories = {c.id: c.name for one in found for c in one.categories if c.id in used or c.name not in groups}
    return [categories[id] for id in sorted(categories)]


def _pictures(root: Path, files: dict[Path, _File], entries: Sequence[Entry]) -> Iterator[Picture | Broken]:
    images = NamedImages(entries)
    for file, found in files.items():
        split = _split(file.with_suffix(""), root)
        names = {category.id: category.name for category in found.categories}
        objects: dict[int | str, list[_Annotation]] = {}
        for annotation in found.annotations:
            objects.setdefault(annotation.image_id, []).append(annotation)
        for image in found.images:
            entry = _find(image.file_name, split, file, root, images)
            if entry is None:
                yield Broken(file, f"image {printable(image.file_name)} {images.absence(image.file_name)}")
                continue
            try:
                shapes, skipped = _shapes(objects.get(image.id, ()), names)
            except ValueError as error:
                yield Broken(file, f"image {printable(image.file_name)}: {error}")
                continue
            own = split or split_of(entry.path.relative_to(root).parts[:-1])
            size = (image.height, image.width)
            yield Picture(own, entry.key, entry.path, size, shapes, file, skipped, smaller_on_top=True)


def _split(path: Path, root: Path) -> str | None:
    """The split named by a word in a path, the last part first: `train2017/` is train."""
    parts = path.relative_to(root).parts
    return split_of(word for part in reversed(parts) for word in _WORDS.findall(part.lower()))


def _find(name: str, split: str | None, file: Path, root: Path, images: NamedImages) -> Entry | None:
    name = name.replace("\\", "/")
    folders = [file.parent, root, root / "images", *((root / split, root / "images" / split) if split else ())]
    entry = images.at(*(folder / name for folder in folders))
    if entry is not None:
        return entry
    same = images.called(name)
    if split is not None:
        # An image of the same name in another split is a different image.
        splits = [_split(entry.path.parent, root) for entry in same]
        own = [entry for entry, found in zip(same, splits, strict=True) if found == split]
        same = own or [entry for entry, found in zip(same, splits, strict=True) if found is None]
    return same[0] if len(same) == 1 else None


def _shapes(objects: Sequence[_Annotation], names: dict[int, str]) -> tuple[list[Shape], list[str]]:
    """Shapes in the order of the annotations' ids, and the kinds of those without an outline.

    Raises:
        ValueError: An annotation is invalid; the message names it.
    """
    shapes: list[Shape] = []
    skipped = []
    for one in sorted(objects, key=lambda annotation: str(annotation.id).zfill(20)):
        try:
            outline = msgspec.json.decode(one.segmentation)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"annotation {one.id}: {error}") from error
        if not outline:
            skipped.append("box")
        elif one.category_id not in names:
            raise ValueError(f"annotation {one.id}: category {one.category_id} does not exist")
        else:
            shapes.append(Shape(names[one.category_id], partial(_pixels, one.id, outline)))
    return shapes, skipped


def _pixels(id: int | str, outline: Any, height: int, width: int) -> np.ndarray:
    try:
        return draw_segmentation(outline, height, width)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"annotation {id}: {error}") from error


def _write(root: Path, scenes: Scenes) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(scenes.classes) if number]
    for split, members in scenes.splits.items():
        images, annotations = [], []
        for number, scene in enumerate(members):
            (height, width), file = scene.labels.shape, f"{number:04d}.png"
            write_image(root / split / file, scene.image)
            images.append({"id": number, "file_name": file, "height": height, "width": width})
            for class_id, left, top, right, bottom in scene.boxes:
                outline = [[left, top, right, top, right, bottom, left, bottom]]
                one = {"image_id": number, "category_id": class_id, "segmentation": outline}
                annotations.append({"id": len(annotations) + 1, **one})
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_text(root / split / "_annotations.coco.json", json_text(content))


register(
    Format(
        name="coco",
        title="COCO JSON",
        expected="a JSON file in COCO's format (images, annotations, categories) beside the images or in annotations/",
        layout=coco_own_layout,
        recognise=lambda root: any(_is_coco(path) for path in _candidates(root)),
        priority=ANNOTATIONS,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
