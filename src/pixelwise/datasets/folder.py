"""Anybody's own images: `images/` and `masks/`, with or without folders per split.

Layouts, where `images` may also be called `imgs` or `JPEGImages`, and `masks` `labels`,
`annotations` or `SegmentationClass`:

- `images/{train,val,test}/...` with `masks/{train,val,test}/...`
- `{train,val,test}/images/...` with `{train,val,test}/masks/...`
- `images/...` with `masks/...`: divided 80 to 20 into train and val by `validation_keys`.

Image and mask have the same name below these folders, whatever their endings.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts import Layout, in_order, split_folders
from pixelwise.datasets.listing import list_images, subfolders
from pixelwise.datasets.pairing import pair_folders
from pixelwise.datasets.samples import Sample
from pixelwise.storage import printable

LOOKED_FOR = "images/ (imgs/, JPEGImages/) with masks/ (labels/, annotations/, SegmentationClass/)"
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
_MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass")
_VALIDATION_SHARE = 0.2
_MIN_GROUPS = 10
# What numbers the members of a series: frames of a video, tiles of a picture, augmented copies.
_SERIES_NUMBER = re.compile(r"(\.rf\.[0-9a-f]+|[\d_\-. ()]+)$")


def folder_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no folder of images beside one of masks."""
    folders = subfolders(root)
    images, masks = _first(folders, _IMAGE_FOLDERS), _first(folders, _MASK_FOLDERS)
    if images and masks:
        splits, mask_splits = split_folders(images), split_folders(masks)
        if splits:
            pairs = {name: (path, mask_splits.get(name, masks / path.name)) for name, path in splits.items()}
            layout = _per_split(root, f"{images.name}/{{split}}/ with {masks.name}/{{split}}/", pairs)
            return _with_strays(layout, images, list(splits.values()))
        return _divided(root, images, masks)
    pairs = {}
    for name, folder in split_folders(root).items():
        inner = subfolders(folder)
        images, masks = _first(inner, _IMAGE_FOLDERS), _first(inner, _MASK_FOLDERS)
        if images:
            pairs[name] = (images, masks or folder / "masks")
    if not any(masks.is_dir() for _, masks in pairs.values()):
        return None
    return _per_split(root, "{split}/images/ with {split}/masks/", pairs)


def validation_keys(keys: Iterable[str]) -> set[str]:
    """Which of the images become the validation split: about a fifth, chosen by their names alone.

    Images of one series (`drive3_0001`, `drive3_0002`; tiles; augmented copies) stay together, as
    long as there are ten series and none holds more than a fifth of the images; otherwise every
    image is its own series. A series is chosen if the first eight bytes of the SHA-256 of its name,
    as a fraction, are below 0.2; so adding or removing files never moves another file to the other
    split, except where a split would be empty or the number of series passes the limit.

    Args:
        keys: Names of the images without ending, with their folders.
    """
    keys = sorted(keys)
    if len(keys) < 2:
        return set()
    series = {key: _SERIES_NUMBER.sub("", key) or key for key in keys}
    sizes = Counter(series.values())
    if len(sizes) < _MIN_GROUPS or max(sizes.values()) > _VALIDATION_SHARE * len(keys):
        series = {key: key for key in keys}
    places = {name: _place(name) for name in set(series.values())}
    chosen = {name for name, place in places.items() if place < _VALIDATION_SHARE}
    if not chosen:
        chosen = {min(places, key=lambda name: places[name])}
    elif len(chosen) == len(places):
        chosen.remove(max(places, key=lambda name: places[name]))
    return {key for key in keys if series[key] in chosen}


def _place(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _first(folders: dict[str, Path], names: Iterable[str]) -> Path | None:
    return next((folders[name] for name in names if name in folders), None)


def _per_split(root: Path, description: str, pairs: dict[str, tuple[Path, Path]]) -> Layout:
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, (images, masks) in sorted(pairs.items()):
        splits[name], findings = pair_folders(name, images, masks)
        problems += findings
    return Layout(name="folder", description=description, root=root, splits=in_order(splits), problems=tuple(problems))


def _with_strays(layout: Layout, images: Path, split_folders: list[Path]) -> Layout:
    """Add a warning about images that lie beside the folders of the splits."""
    strays = [
        printable(entry.path)
        for entry in list_images(images).entries
        if not any(entry.path.is_relative_to(folder) for folder in split_folders)
    ]
    if not strays:
        return layout
    warning = finding(
        "W216",
        f"{len(strays)} images lie beside the folders of the splits and are left out, e.g. {strays[0]}",
        strays,
        f"move them into {images.name}/train, {images.name}/val or {images.name}/test",
    )
    return Layout(
        name=layout.name,
        description=layout.description,
        root=layout.root,
        splits=layout.splits,
        problems=(*layout.problems, warning),
    )


def _divided(root: Path, images: Path, masks: Path) -> Layout:
    samples, problems = pair_folders("train", images, masks)
    chosen = validation_keys(sample.id for sample in samples)
    return Layout(
        name="folder",
        description=f"{images.name}/ with {masks.name}/, divided 80 to 20 into train and val by file name",
        root=root,
        splits={
            "train": tuple(sample for sample in samples if sample.id not in chosen),
            "val": tuple(sample for sample in samples if sample.id in chosen),
        },
        problems=tuple(problems),
    )
