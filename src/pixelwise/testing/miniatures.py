"""The data sets of the published rows in miniature: a few drawn scenes in exactly the official layout.

For trying a whole pipeline (opening, audit, training, evaluation) without the real data. What is drawn
are the street scenes of the synthetic town; its classes become classes of the data set, spread over all
of them, so the pictures mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pixelwise.datasets.formats.coco2017 import CATEGORIES
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.recipes.classes.tables import CLASS_SETS, IGNORE, VOC
from pixelwise.recipes.protocols import Size
from pixelwise.storage import write_text

VOID = 11
"""Of the town's raw ids."""
DRAWN_HEIGHT = 256
"""Scenes are drawn at most this high and enlarged: drawing takes longer than everything else."""
SIZES: dict[str, Size] = {
    "camvid": (360, 480),
    "cityscapes": (1024, 2048),
    "voc-aug": (375, 500),
    "ade20k": (512, 683),
    "cocoseg21": (480, 640),
}
"""Data set -> (height, width) of its images; where they differ, a usual one."""

CAMVID_FRAMES = {
    "train": ("0001TP_006{:02d}0", "0006R0_f01{:02d}0", "0016E5_01{:02d}0"),
    "val": ("0016E5_08{:03d}",),
    "test": ("0001TP_009{:02d}0", "Seq05VD_f00{:02d}0"),
}
"""Names of CamVid's frames by split: those of its drives in turn."""

Scene = tuple[np.ndarray, np.ndarray]


def write_miniature(dataset: str, root: Path, images: tuple[int, int] = (4, 2)) -> Path:
    """Draw a miniature of a data set.

    Args:
        dataset: `camvid`, `cityscapes`, `voc-aug`, `ade20k` (also `ade20k32`) or `cocoseg21` (also
            `cocoseg21-edgeai`).
        root: Folder to write into; created.
        images: Number of training and of validation images (CamVid gets as many test images).

    Returns:
        `root`: what `--data` takes.

    Raises:
        KeyError: There is no miniature of that data set.
    """
    writers: dict[str, Callable[[Path, dict[str, list[Scene]]], None]] = {
        "camvid": _write_camvid,
        "cityscapes": _write_cityscapes,
        "voc-aug": _write_voc,
        "ade20k": _write_ade20k,
        "cocoseg21": _write_coco,
    }
    kind = {"ade20k32": "ade20k", "cocoseg21-edgeai": "cocoseg21"}.get(dataset, dataset)
    train, val = images
    splits = {"train": train, "val": val} | ({"test": val} if kind == "camvid" else {})
    scenes, drawn = {}, 0
    for split, count in splits.items():
        scenes[split] = [_scene(kind, drawn + index) for index in range(count)]
        drawn += count
    root.mkdir(parents=True, exist_ok=True)
    writers[kind](root, scenes)
    return root


def _scene(dataset: str, index: int) -> Scene:
    """uint8 (H, W, 3) and uint8 (H, W) raw mask values of the data set."""
    height, width = SIZES[dataset]
    factor = max(1.0, height / DRAWN_HEIGHT)
    image, town = draw_scene(0, index, (round(height / factor), round(width / factor)))
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    rows = np.arange(height) * town.shape[0] // height
    columns = np.arange(width) * town.shape[1] // width
    return image, _raw_values(dataset, index)[town[rows[:, None], columns]]


def _raw_values(dataset: str, index: int) -> np.ndarray:
    """The town's raw id -> a raw value of the data set; other classes in every scene."""
    table = CLASS_SETS[dataset].label_table
    raw_of = {class_id: raw for raw, class_id in reversed(list(table.items())) if class_id != IGNORE}
    ignored = [raw for raw, class_id in table.items() if class_id == IGNORE]
    count = len(raw_of)
    values = np.zeros(256, np.uint8)
    for town_class in range(VOID):
        values[town_class] = raw_of[(town_class + VOID * index) % count]
    values[VOID] = ignored[0] if ignored else raw_of[0]  # the first one: the last one may never be in a file
    return values


def _save(path: Path, pixels: np.ndarray, palette: tuple[tuple[int, int, int], ...] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette([channel for color in palette for channel in color])
    if path.suffix == ".jpg":
        picture.save(path, quality=95)
    else:
        picture.save(path)


def _write_camvid(root: Path, scenes: dict[str, list[Scene]]) -> None:
    """As SegNet's tutorial lays it out: a folder of images and one of masks per split, frames of its drives."""
    for split, pairs in scenes.items():
        for index, (image, mask) in enumerate(pairs):
            name = f"{CAMVID_FRAMES[split][index % len(CAMVID_FRAMES[split])].format(index)}.png"
            _save(root / split / name, image)
            _save(root / f"{split}annot" / name, mask)


def _write_cityscapes(root: Path, scenes: dict[str, list[Scene]]) -> None:
    for split, pairs in scenes.items():
        for index, (image, mask) in enumerate(pairs):
            stem = f"aachen_{index:06d}_000019"
            _save(root / "leftImg8bit" / split / "aachen" / f"{stem}_leftImg8bit.png", image)
            _save(root / "gtFine" / split / "aachen" / f"{stem}_gtFine_labelIds.png", mask)


def _write_voc(root: Path, scenes: dict[str, list[Scene]]) -> None:
    """VOC 2012 with SBD's merged masks; the first half of the training images is VOC's own, the rest SBD's."""
    home = root / "VOCdevkit" / "VOC2012"
    names: dict[str, list[str]] = {}
    for split, pairs in scenes.items():
        names[split] = [f"2008_{len(names)}{index:05d}" for index in range(len(pairs))]
        for index, (name, (image, mask)) in enumerate(zip(names[split], pairs, strict=True)):
            _save(home / "JPEGImages" / f"{name}.jpg", image)
            if split == "val" or index < (len(pairs) + 1) // 2:
                _save(home / "SegmentationClass" / f"{name}.png", mask, VOC.palette)
            if split == "train":
                _save(home / "SegmentationClassAug" / f"{name}.png", mask)
    own = names["train"][: (len(names["train"]) + 1) // 2]
    lists = home / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for file, members in (("train", own), ("val", names["val"]), ("trainaug", names["train"])):
        write_text(lists / f"{file}.txt", "".join(f"{name}\n" for name in members))


def _write_ade20k(root: Path, scenes: dict[str, list[Scene]]) -> None:
    home = root / "ADEChallengeData2016"
    for split, folder in (("train", "training"), ("val", "validation")):
        for index, (image, mask) in enumerate(scenes[split], start=1):
            stem = f"ADE_{split}_{index:08d}"
            _save(home / "images" / folder / f"{stem}.jpg", image)
            _save(home / "annotations" / folder / f"{stem}.png", mask)


def _write_coco(root: Path, scenes: dict[str, list[Scene]]) -> None:
    """Images with rectangles of the 20 categories as instances, each of more than 1000 pixels."""
    height, width = SIZES["cocoseg21"]
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in CATEGORIES.items()]
    for split, pairs in scenes.items():
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": categories}
        for index, (image, _) in enumerate(pairs, start=1):
            file = f"{index:012d}.jpg"
            _save(root / f"{split}2017" / file, image)
            content["images"].append({"id": index, "file_name": file, "height": height, "width": width})
            for place in range(4):
                left, top = 20 + 150 * place, 40 + 60 * place
                right, bottom = left + 140, top + 160
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": index,
                        "category_id": categories[(4 * index + place) % len(categories)]["id"],
                        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                        "area": (right - left) * (bottom - top),
                        "iscrowd": 0,
                        "bbox": [left, top, right - left, bottom - top],
                    }
                )
        write_text(_in_new_folder(root / "annotations" / f"instances_{split}2017.json"), json.dumps(content))


def _in_new_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
