"""Brush masks that Label Studio exports as PNG: one file per task and label.

    task-12-annotation-34-by-5-tag-Road-0.png ...   images/...   [project.json]

The name gives task, annotation and label; the masks of a task are merged, the smaller area on top. Of
several annotations of a task the one with the highest number counts. Which image a task belongs to is in
the project's JSON export, if it lies beside; otherwise the images are called `12.jpg` or `task-12.jpg`.
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

from pixelwise.datasets.decoding import SUFFIXES, decode
from pixelwise.datasets.drawing import Broken, Picture, Shape, draw, drawn_layout
from pixelwise.datasets.layouts import Layout, split_of
from pixelwise.datasets.listing import Entry, list_images
from pixelwise.errors import DataError
from pixelwise.storage import printable

LOOKED_FOR = "task-1-annotation-2-by-3-tag-LABEL-0.png (Label Studio's brush masks), images/ and the JSON export"
_MASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-(.+?)-([^-]+)-(.+)-(\d+)")
# Uploads get eight hexadecimal digits before their name.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")


class _Task(msgspec.Struct):
    id: int
    data: dict[str, Any] = {}


def label_studio_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if no file in it is named like a brush mask of Label Studio.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    listing = list_images(root)
    masks = [entry for entry in listing.entries if _MASK.fullmatch(entry.path.stem)]
    if not masks:
        return None
    images = [entry for entry in listing.entries if not _MASK.fullmatch(entry.path.stem)]
    exports = sorted(root.glob("*.json"))
    sources = [*exports, *(entry.path for entry in listing.entries)]
    drawn = draw("label-studio", sources, lambda: _pictures(root, masks, images, exports))
    return drawn_layout(
        "label-studio",
        "Label Studio: PNG brush masks per task and label, merged into the cache folder",
        root,
        drawn,
        problems=listing.problems,
    )


def _pictures(
    root: Path, masks: Sequence[Entry], images: Sequence[Entry], exports: Sequence[Path]
) -> Iterator[Picture | Broken]:
    names = _image_names(exports)
    by_name = {entry.path.name: entry for entry in images}
    by_stem = {entry.path.stem: entry for entry in images}
    tasks: dict[int, dict[int, list[tuple[str, Path]]]] = {}
    for entry in masks:
        match = _MASK.fullmatch(entry.path.stem)
        if match is not None:
            annotations = tasks.setdefault(int(match[1]), {})
            annotations.setdefault(int(match[2]), []).append((match[5], entry.path))
    for task, annotations in sorted(tasks.items()):
        files = annotations[max(annotations)]
        candidates = [by_name.get(name) for name in names.get(task, ())]
        candidates += [by_stem.get(f"task-{task}"), by_stem.get(str(task))]
        entry = next((found for found in candidates if found is not None), None)
        if entry is None:
            named = names.get(task)
            reason = (
                f"the image of task {task}, {printable(named[0])}, does not exist"
                if named
                else f"which image task {task} belongs to is not known: put the project's JSON export beside it, or "
                f"call the image {task}.jpg"
            )
            yield Broken(files[0][1], reason)
            continue
        shapes = [Shape(label, partial(_pixels, path)) for label, path in sorted(files)]
        split = split_of(entry.path.relative_to(root).parts[:-1])
        yield Picture(split, entry.key, entry.path, None, shapes, files[0][1], smaller_on_top=True)


def _pixels(path: Path, height: int, width: int) -> np.ndarray:
    """Where a brush mask is set."""
    try:
        mask = np.asarray(decode(path, max_pixels=height * width).image.convert("L")) >= 128
    except DataError as error:
        raise ValueError(error.message) from error
    if mask.shape != (height, width):
        raise ValueError(f"{printable(path.name)} is {mask.shape[0]}x{mask.shape[1]} (HxW), its image {height}x{width}")
    return mask


def _image_names(exports: Sequence[Path]) -> dict[int, list[str]]:
    """Task -> file names that its image may have, of JSON exports; other JSON files say nothing."""
    names: dict[int, list[str]] = {}
    for export in exports:
        try:
            tasks = msgspec.json.decode(export.read_bytes(), type=list[_Task])
        except (OSError, msgspec.DecodeError):
            continue
        for task in tasks:
            for value in task.data.values():
                if isinstance(value, str):
                    names.setdefault(task.id, []).extend(_file_names(value))
    return names


def _file_names(address: str) -> list[str]:
    """The file name in an address or path, with and without the prefix of uploads; none if it is no image."""
    parsed = urlparse(address)
    path = parse_qs(parsed.query).get("d", [unquote(parsed.path)])[0]
    name = path.replace("\\", "/").rpartition("/")[2]
    if Path(name).suffix.lower() not in SUFFIXES:
        return []
    match = _UPLOAD.fullmatch(name)
    return [name, *([match[1]] if match else [])]
