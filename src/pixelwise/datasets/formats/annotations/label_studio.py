"""Label Studio exports: brush masks as PNG, one file per task and label, or all regions as JSON.

    task-12-annotation-34-by-5-tag-Road-0.png ...   images/...   [project.json]
    project.json   images/...

The name of a mask gives its task, annotation and label. The image of a task is looked up in the project's JSON export
if that lies beside the masks; otherwise it has to be called `12.jpg` or `task-12.jpg`. Without masks, polygons,
brush strokes, rectangles and ellipses are drawn from the JSON export (`JSON` or `JSON-MIN`).

Either way the regions of a task, and of several tasks of one image, are merged with the smaller area on top. If a task
has several annotations, the one with the highest id is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.annotations.label_studio_regions import Annotation, Task, is_export, outlines, tasks_of
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted, file_name
from pixelwise.datasets.layouts.outlines import (
    Broken,
    Picture,
    Read,
    Shape,
    Unused,
    draw,
    drawn_layout,
    unannotated,
)
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.decoding import SUFFIXES, decode
from pixelwise.errors import DataError
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_document, reading

_MASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-(.+?)-([^-]+)-(.+)-(\d+)")
# Label Studio prefixes the names of uploads with eight hexadecimal digits.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")
_UPLOADS = re.compile(r"(^|/)(data/)?upload/\d+/[^/]+$")


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
    drawn = draw("label-studio", root, sources, lambda: merged(_pictures(root, masks, images, exports)))
    return drawn_layout(
        "label-studio",
        "Label Studio: PNG brush masks per task and label, merged into the cache folder",
        root,
        drawn,
        problems=listing.problems,
    )


def _holds_regions(export: Path) -> bool:
    return is_export(peek(export))


def _json_layout(root: Path, listing: Listing, exports: Sequence[Path]) -> Layout | None:
    """The layout of JSON exports and the images that they name; None without an export."""
    if not exports:
        return None
    sources = [*exports, *(entry.path for entry in listing.entries)]
    drawn = draw("label-studio-json", root, sources, lambda: merged(_outlined(root, listing.entries, exports)))
    without = unannotated(listing.entries, drawn, "annotation in Label Studio's export")
    return drawn_layout(
        "label-studio",
        "Label Studio: regions of the JSON export, drawn as masks into the cache folder",
        root,
        drawn,
        problems=[*listing.problems, *without],
    )


def _outlined(root: Path, images: Sequence[Entry], exports: Sequence[Path]) -> Iterator[Read]:
    named = NamedImages(images, root)
    read: list[tuple[Path, Task]] = []
    wanted: list[Wanted] = []
    for export in exports:
        try:
            tasks = tasks_of(read_document(export), export)
        except DocumentError as error:
            yield Broken(export, f"not a JSON export of Label Studio: {error.reason}")
            continue
        for task in tasks:
            if not any(not annotation.was_cancelled for annotation in _annotations(task)):
                if _annotations(task):
                    yield Unused(export, f"task {task.id}: all of its annotations were cancelled")
                elif task.predictions:
                    yield Unused(export, f"task {task.id}: it has predictions, but no annotation")
                continue
            one = _wanted(export, [*_images_of(task)], named, root)
            if isinstance(one, str):
                yield Broken(export, f"the image of task {task.id} {one}")
                continue
            read.append((export, task))
            wanted.append(one)
    for (export, task), one, match in zip(read, wanted, named.find_all(wanted), strict=True):
        if match.entry is None:
            yield Broken(export, f"the image of task {task.id}, {printable(one.names[0])}, {match.reason}")
            continue
        path = match.entry.path
        finished = sorted((a for a in _annotations(task) if not a.was_cancelled), key=lambda annotation: annotation.id)
        if len(finished) > 1:
            yield Unused(export, f"task {task.id}: {len(finished) - 1} annotations with a lower id than the last one")
        try:
            with reading(export):
                found = outlines(finished[-1])
        except DocumentError as error:
            yield Broken(export, f"task {task.id}, {printable(path.name)}: {error.reason}", path)
            continue
        split = split_of(path.relative_to(root).parts[:-1])
        yield Picture(split, match.entry.key, path, found.size, found.shapes, export, found.skipped, True)


def _pictures(
    root: Path, masks: Sequence[Entry], images: Sequence[Entry], exports: Sequence[Path]
) -> Iterator[Picture | Broken]:
    names = _images_of_tasks(exports)
    named, by_stem = NamedImages(images, root), NamedImages(images, root, stems=True)
    tasks: dict[int, dict[int, list[tuple[str, Path]]]] = {}
    for entry in masks:
        match = _MASK.fullmatch(entry.path.stem)
        if match is not None:
            annotations = tasks.setdefault(int(match[1]), {})
            annotations.setdefault(int(match[2]), []).append((match[5], entry.path))
    numbers: list[int] = []
    wanted: list[Wanted] = []
    for task, annotations in sorted(tasks.items()):
        file = annotations[max(annotations)][0][1]
        one = _wanted(file, names.get(task, []), named, root)
        own = by_stem.find(Wanted((f"task-{task}", str(task)), file, (root,))).entry
        if own is not None and (isinstance(one, str) or named.find(one).entry is None):
            one = Wanted((str(own.path.absolute()),), file)
        if isinstance(one, str):
            unknown = f"is unknown: put the project's JSON export beside the mask, or rename the image to {task}.jpg"
            yield Broken(file, f"the image of task {task} {one if names.get(task) else unknown}")
            continue
        numbers.append(task)
        wanted.append(one)
    for task, one, match in zip(numbers, wanted, named.find_all(wanted), strict=True):
        files = tasks[task][max(tasks[task])]
        if match.entry is None:
            yield Broken(files[0][1], f"the image of task {task}, {printable(one.names[0])}, {match.reason}")
            continue
        shapes = [Shape(label, partial(_pixels, path)) for label, path in sorted(files)]
        split = split_of(match.entry.path.relative_to(root).parts[:-1])
        yield Picture(split, match.entry.key, match.entry.path, None, shapes, files[0][1], smaller_on_top=True)


def _wanted(file: Path, fields: Sequence[tuple[str, ...]], named: NamedImages, root: Path) -> Wanted | str:
    """The image of a task; or why it is unknown, to follow its name in a message.

    Args:
        file: The file that belongs to the task.
        fields: For each field of the task, the paths that its image may have.
        named: All images.
        root: Folder of the data set.
    """
    images: dict[Path, Wanted] = {}
    for names in fields:
        # An upload has lost its folder, so it may be any image of its name.
        near = (root, root / "images") if file_name(names[0]) != names[0] else ()
        wanted = Wanted(names, file, near)
        entry = named.find(wanted).entry
        if entry is not None:
            images[entry.path] = wanted
    if len(images) > 1:
        return f"may be {' or '.join(sorted(printable(path) for path in images))}: the task names both"
    if not fields:
        return "is not named"
    return next(iter(images.values()), Wanted(fields[0], file))


def _pixels(path: Path, height: int, width: int) -> np.ndarray:
    """The pixels that a brush mask covers, bool (height, width)."""
    try:
        mask = np.asarray(decode(path, max_pixels=height * width).image.convert("L")) >= 128
    except DataError as error:
        raise ValueError(error.message) from error
    if mask.shape != (height, width):
        raise ValueError(f"{printable(path.name)} is {mask.shape[1]}x{mask.shape[0]} (WxH), its image {width}x{height}")
    return mask


def _images_of_tasks(exports: Sequence[Path]) -> dict[int, list[tuple[str, ...]]]:
    """Task -> paths that its image may have, for each field; from JSON exports, other JSON files are skipped."""
    names: dict[int, list[tuple[str, ...]]] = {}
    for export in exports:
        try:
            tasks = tasks_of(read_document(export), export)
        except DocumentError:
            continue
        for task in tasks:
            names.setdefault(task.id, []).extend(_images_of(task))
    return names


def _annotations(task: Task) -> list[Annotation]:
    return task.annotations or task.completions


def _images_of(task: Task) -> Iterator[tuple[str, ...]]:
    """The paths that the image of a field may have, for each field of a task that names one."""
    for value in task.data.values():
        if isinstance(value, str) and (paths := _paths(value)):
            yield paths


def _paths(address: str) -> tuple[str, ...]:
    """The path in an address, with and without the prefix of uploads; empty if it is not that of an image."""
    try:
        parsed = urlparse(address)
        path = parse_qs(parsed.query).get("d", [unquote(parsed.path)])[0]
    except ValueError:  # not a valid address
        path = address
    name = file_name(path)
    if Path(name).suffix.lower() not in SUFFIXES:
        return ()
    # The folders of uploads are those of the server.
    folder = "" if _UPLOADS.search(path) else path.removesuffix(name)
    match = _UPLOAD.fullmatch(name)
    return (folder + name, *([folder + match[1]] if match else []))


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
