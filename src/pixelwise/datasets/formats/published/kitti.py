"""KITTI: semantic segmentation (Alhaija et al., IJCV 2018) and road estimation (Fritsch et al., ITSC 2013).

    training/image_2/000000_10.png     training/semantic/000000_10.png     200 images, Cityscapes's label ids
    training/image_2/um_000000.png     training/gt_image_2/um_road_000000.png     289 images, road
    testing/image_2/...                                                    without labels

Neither has a split for validation, so the training images are divided by their names. In the colours of the road
benchmark, magenta is road, red is everything else, and black is ignored; its lanes (`um_lane_*`) are another task.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import UNMISTAKABLE, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images, subfolders
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import CITYSCAPES, KITTI_ROAD
from pixelwise.storage import printable

_IMAGES, _SEMANTIC, _ROAD = "image_2", "semantic", "gt_image_2"
_NAME = re.compile(r"(.*?)([a-z]+)_(road|lane)_(\d+)")


def kitti_layout(root: Path) -> Layout | None:
    """The layout of the semantic segmentation in `root`, or None if it holds no `training/semantic`."""
    return _layout(root, "kitti", _SEMANTIC)


def kitti_road_layout(root: Path) -> Layout | None:
    """The layout of the road benchmark in `root`, or None if it holds no `training/gt_image_2`."""
    return _layout(root, "kitti-road", _ROAD)


def _has(root: Path, masks: str) -> bool:
    training = split_folders(root).get("train")
    return training is not None and {_IMAGES, masks} <= subfolders(training).keys()


def _layout(root: Path, name: str, masks: str) -> Layout | None:
    if not _has(root, masks):
        return None
    found: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for split, folder in split_folders(root).items():
        inner = subfolders(folder)
        if _IMAGES not in inner:
            continue
        images = list_images(inner[_IMAGES])
        labels = list_images(inner[masks]) if masks in inner else Listing([], [])
        entries, unused = _named_like_images(labels.entries)
        found[split], more = match_files(split, images.entries, entries, masks=folder / masks)
        problems += [*images.problems, *labels.problems, *unused, *more]
    whole = {split: samples for split, samples in found.items() if samples}
    alone = whole.keys() <= {"train"}
    return Layout(
        name=name,
        description=f"KITTI: training/{_IMAGES}/ with training/{masks}/",
        root=root,
        splits=divided(found["train"]) if alone else in_order(whole),
        problems=tuple(problems),
    )


def _named_like_images(masks: Sequence[Entry]) -> tuple[list[Entry], list[Finding]]:
    """The masks under the names of their images (`um_road_000000` is that of `um_000000`); lanes are left out."""
    named, lanes = [], []
    for entry in masks:
        match = _NAME.fullmatch(entry.key)
        if match is None:
            named.append(entry)
        elif match[3] == "road":
            named.append(Entry(f"{match[1]}{match[2]}_{match[4]}", entry.path))
        else:
            lanes.append(printable(entry.path))
    if not lanes:
        return named, []
    text = f"{len(lanes)} masks of the own lane are not used, e.g. {lanes[0]}: lanes lie within roads"
    help = "to train on lanes, put the images and these masks into images/ and masks/, with the same names"
    return named, [finding("W223", text, lanes, help)]


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        folder = root / ("training" if split == "train" else split)
        for number, scene in enumerate(members):
            write_image(folder / _IMAGES / f"{number:06d}_10.png", scene.image)
            write_image(folder / _SEMANTIC / f"{number:06d}_10.png", scenes.mask(scene))


def _write_road(root: Path, scenes: Scenes) -> None:
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(KITTI_ROAD.palette)] = KITTI_ROAD.palette
    for split, members in scenes.splits.items():
        folder = root / ("training" if split == "train" else split)
        for number, scene in enumerate(members):
            write_image(folder / _IMAGES / f"um_{number:06d}.png", scene.image)
            write_image(folder / _ROAD / f"um_road_{number:06d}.png", colors[scene.labels])


register(
    Format(
        name="kitti",
        title="KITTI semantic segmentation",
        expected="training/image_2/ with training/semantic/",
        layout=kitti_layout,
        recognise=lambda root: _has(root, _SEMANTIC),
        priority=UNMISTAKABLE,
        classes=CITYSCAPES,
        miniature=Miniature(write=_write),
    )
)
register(
    Format(
        name="kitti-road",
        title="KITTI road",
        expected="training/image_2/um_000000.png with training/gt_image_2/um_road_000000.png",
        layout=kitti_road_layout,
        recognise=lambda root: _has(root, _ROAD),
        priority=UNMISTAKABLE,
        classes=KITTI_ROAD,
        miniature=Miniature(write=_write_road),
    )
)
