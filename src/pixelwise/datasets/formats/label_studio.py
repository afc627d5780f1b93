"""Label Studio exports: brush masks as PNG, one file per task and label, or all regions as JSON.

    task-12-annotation-34-by-5-tag-Road-0.png ...   images/...   [project.json]
    project.json   images/...

The name of a mask gives its task, annotation and label. The image of a task is looked up in the project's JSON export
if that lies beside the masks; otherwise it has to be called `12.jpg` or `task-12.jpg`. Without masks, polygons,
brush strokes, rectangles and ellipses are drawn from the JSON export (`JSON`, not `JSON-MIN`).

Either way the regions of a task are merged with the smaller area on top. If a task has several annotations, the one
with the highest id is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import msgspec
import numpy as np

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.label_studio_regions import Annotation, outlines
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images
from pixelwise.datasets.layouts.named_images import NamedImages, file_name
from pixelwise.datasets.layouts.outlines import Broken, Picture, Shape, draw, drawn_layout, unannotated
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.decoding import SUFFIXES, decode
from pixelwise.errors import DataError
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_json, reading

_MASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-(.+?)-([^-]+)-(.+)-(\d+)")
# Label Studio prefixes the names of uploads with eight hexadecimal digits.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")


class _Task(msgspec.Struct):
    id: int
    data: dict[str, Any] = {}
    annotations: list[Annotation] = []


def label_studio_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds neither brush masks of Label Studio nor a JSON export of regions.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    listing = list_images(root)
    masks = [entry for entry in listing.entries if _MASK.fullmatch(entry.path.stem)]
    exports = sorted(root.glob("*.json"))
    if not masks:
        return _json_layout(root, listing, [path for path in exports if _holds_regions(path)])
    images = [entry for entry in listing.entries if not _MASK.fullmatch(entry.path.stem)]
    sources = [*exports, *(entry.path for entry in listing.entries)]
    drawn = draw("label-studio", root, sources, lambda: _pictures(root, masks, images, exports))
    return drawn_layout(
        "label-studio",
        "Label Studio: PNG brush masks per task and label, merged into the cache folder",
        root,
        drawn,
        problems=listing.problems,
    )


def _holds_regions(export: Path) -> bool:
    content = peek(export)
    # A damaged export counts as well, so that it gets reported.
    return content.lstrip()[:1] == b"[" and b'"annotations"' in content and b'"result"' in content


def _json_layout(root: Path, listing: Listing, exports: Sequence[Path]) -> Layout | None:
    """The layout of JSON exports and the images that they name; None without an export."""
    if not exports:
        return None
    sources = [*exports, *(entry.path for entry in listing.entries)]
    drawn = draw("label-studio-json", root, sources, lambda: _outlined(root, listing.entries, exports))
    without = unannotated(listing.entries, drawn, "annotation in Label Studio's export")
    return drawn_layout(
        "label-studio",
        "Label Studio: regions of the JSON export, drawn as masks into the cache folder",
        root,
        drawn,
        problems=[*listing.problems, *without],
    )


def _outlined(root: Path, images: Sequence[Entry], exports: Sequence[Path]) -> Iterator[Picture | Broken]:
    named = NamedImages(images)
    for export in exports:
        try:
            tasks = read_json(export, list[_Task])
        except DocumentError as error:
            yield Broken(export, f"not a JSON export of Label Studio: {error.reason}")
            continue
        for task in tasks:
            finished = [annotation for annotation in task.annotations if not annotation.was_cancelled]
            if not finished:
                continue
            names = [name for value in task.data.values() if isinstance(value, str) for name in _file_names(value)]
            entry = next((found for name in names if (found := named.only(name))), None)
            if entry is None:
                lacking = f", {printable(names[0])}, {_absence(named, names)}" if names else " is not named"
                yield Broken(export, f"the image of task {task.id}{lacking}")
                continue
            try:
                with reading(export):
                    found = outlines(max(finished, key=lambda annotation: annotation.id))
            except DocumentError as error:
                yield Broken(export, f"task {task.id}, {printable(entry.path.name)}: {error.reason}")
                continue
            split = split_of(entry.path.relative_to(root).parts[:-1])
            yield Picture(
                split, entry.key, entry.path, found.size, found.shapes, export, found.skipped, smaller_on_top=True
            )


def _pictures(
    root: Path, masks: Sequence[Entry], images: Sequence[Entry], exports: Sequence[Path]
) -> Iterator[Picture | Broken]:
    names = _image_names(exports)
    named = NamedImages(images)
    by_stem = NamedImages(images, lambda path: path.with_suffix(""))
    tasks: dict[int, dict[int, list[tuple[str, Path]]]] = {}
    for entry in masks:
        match = _MASK.fullmatch(entry.path.stem)
        if match is not None:
            annotations = tasks.setdefault(int(match[1]), {})
            annotations.setdefault(int(match[2]), []).append((match[5], entry.path))
    for task, annotations in sorted(tasks.items()):
        files = annotations[max(annotations)]
        candidates = [named.only(name) for name in names.get(task, ())]
        candidates += [by_stem.only(f"task-{task}"), by_stem.only(str(task))]
        entry = next((found for found in candidates if found is not None), None)
        if entry is None:
            wanted = names.get(task)
            reason = (
                f"the image of task {task}, {printable(wanted[0])}, {_absence(named, wanted)}"
                if wanted
                else f"the image of task {task} is unknown: put the project's JSON export beside the mask, or rename "
                f"the image to {task}.jpg"
            )
            yield Broken(files[0][1], reason)
            continue
        shapes = [Shape(label, partial(_pixels, path)) for label, path in sorted(files)]
        split = split_of(entry.path.relative_to(root).parts[:-1])
        yield Picture(split, entry.key, entry.path, None, shapes, files[0][1], smaller_on_top=True)


def _pixels(path: Path, height: int, width: int) -> np.ndarray:
    """The pixels that a brush mask covers, bool (height, width)."""
    try:
        mask = np.asarray(decode(path, max_pixels=height * width).image.convert("L")) >= 128
    except DataError as error:
        raise ValueError(error.message) from error
    if mask.shape != (height, width):
        raise ValueError(f"{printable(path.name)} is {mask.shape[0]}x{mask.shape[1]} (HxW), its image {height}x{width}")
    return mask


def _image_names(exports: Sequence[Path]) -> dict[int, list[str]]:
    """Task -> file names that its image may have, from JSON exports; other JSON files are skipped."""
    names: dict[int, list[str]] = {}
    for export in exports:
        try:
            tasks = read_json(export, list[_Task])
        except DocumentError:
            continue
        for task in tasks:
            for value in task.data.values():
                if isinstance(value, str):
                    names.setdefault(task.id, []).extend(_file_names(value))
    return names


def _absence(images: NamedImages, names: Sequence[str]) -> str:
    """Why none of these names identifies exactly one image."""
    return images.absence(next((name for name in names if images.called(name)), names[0]))


def _file_names(address: str) -> list[str]:
    """The file name in a URL or path, with and without the prefix of uploads; empty if it is not an image."""
    try:
        parsed = urlparse(address)
        path = parse_qs(parsed.query).get("d", [unquote(parsed.path)])[0]
    except ValueError:  # brackets that are not those of an IPv6 address, or too many fields
        return []
    name = file_name(path)
    if Path(name).suffix.lower() not in SUFFIXES:
        return []
    match = _UPLOAD.fullmatch(name)
    return [name, *([match[1]] if match else [])]


def _looks_like_label_studio(root: Path) -> bool:
    has_export = any(_holds_regions(path) for path in sorted(root.glob("*.json")))
    return has_export or any(_MASK.fullmatch(entry.path.stem) for entry in list_images(root).entries)


def _write(root: Path, scenes: Scenes) -> None:
    """Write the JSON export: every object is a rectangle, in percent of the image's sides."""
    tasks = []
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            (height, width), file = scene.labels.shape, f"{split}{number:04d}.png"
            write_image(root / "images" / split / file, scene.image)
            regions = [
                {
                    "id": str(index),
                    "type": "rectanglelabels",
                    "original_width": width,
                    "original_height": height,
                    "value": {
                        "x": 100 * left / width,
                        "y": 100 * top / height,
                        "width": 100 * (right - left) / width,
                        "height": 100 * (bottom - top) / height,
                        "rotation": 0,
                        "rectanglelabels": [scenes.classes[class_id]],
                    },
                }
                for index, (class_id, left, top, right, bottom) in enumerate(scene.boxes)
            ]
            annotation = {"id": len(tasks) + 1, "result": regions, "was_cancelled": False}
            data = {"image": f"/data/upload/1/{len(tasks):08x}-{file}"}
            tasks.append({"id": len(tasks) + 1, "data": data, "annotations": [annotation]})
    write_text(root / "project.json", json_text(tasks))


register(
    Format(
        name="label-studio",
        title="Label Studio",
        expected="Label Studio's JSON export with images/, or its brush masks "
        "(task-1-annotation-2-by-3-tag-LABEL-0.png) with images/ and preferably the JSON export",
        layout=label_studio_layout,
        recognise=_looks_like_label_studio,
        priority=ANNOTATIONS + 1,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
