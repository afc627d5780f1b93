"""Miniature data sets: a few drawn scenes in exactly the layout of a data format.

They serve to test a whole pipeline (opening, audit, training, evaluation) without the real data. The images are street
scenes of the synthetic town, whose classes are mapped to arbitrary classes of the data set so that all of them occur.
Formats with outlines get rectangles, whose pixels are known exactly.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pixelwise.datasets.format import Box, Format, Miniature, Scene, Scenes, format_of, raw_values
from pixelwise.datasets.town.canvas import LABEL
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.errors import RecipeError
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.sizes import Size

OWN_CLASSES = ("background", "car", "road", "tree")
"""Classes of a miniature in a format without fixed classes: background first, the others alphabetically, as some
formats list them."""
DRAWN_HEIGHT = 256
"""Largest height at which scenes are drawn; they are then enlarged, because drawing takes most of the time."""
_VOID = LABEL["void"]
_BOXES = 4


def write_miniature(dataset: str, root: Path, images: tuple[int, int] = (4, 2)) -> Path:
    """Write a miniature of a data set.

    Args:
        dataset: Name of a data format that has a miniature.
        root: Folder to write into; created if it does not exist.
        images: Number of training images, and of images of every other split.

    Returns:
        `root`: the folder to open.

    Raises:
        RecipeError: R203, no data format has this name, or it has no miniature.
    """
    format = format_of(dataset)
    root.mkdir(parents=True, exist_ok=True)
    miniature_of(format).write(root, miniature_scenes(format, images))
    return root


def miniature_of(format: Format) -> Miniature:
    """The miniature of a format.

    Raises:
        RecipeError: R203, the format has no miniature.
    """
    if format.miniature is None:
        raise RecipeError(
            "R203",
            f"the data format '{format.name}' has no miniature",
            "give its `Format` a function that writes one: miniature=Miniature(write=...)",
        )
    return format.miniature


def miniature_scenes(format: Format, images: tuple[int, int] = (4, 2), size: Size | None = None) -> Scenes:
    """The scenes of a miniature; equal arguments give equal scenes.

    Args:
        format: The data format, which determines classes, size and splits.
        images: Number of training images, and of images of every other split.
        size: (height, width) of the images; None: the format's.

    Raises:
        RecipeError: R203, the format has no miniature.
    """
    miniature = miniature_of(format)
    classes = format.classes.names if format.classes is not None else OWN_CLASSES
    draw = _boxed if miniature.boxes else _scene
    splits: dict[str, list[Scene]] = {}
    drawn = 0
    for split in miniature.splits:
        count = images[0] if split == "train" else images[1]
        splits[split] = [draw(drawn + index, size or miniature.size, len(classes)) for index in range(count)]
        drawn += count
    return Scenes(classes=classes, splits=splits, raw_values=raw_values(format.classes, len(classes)))


def _scene(index: int, size: Size, num_classes: int) -> Scene:
    """A street scene with its classes mapped to classes of the data set, different ones in every scene."""
    height, width = size
    factor = max(1.0, height / DRAWN_HEIGHT)
    image, town = draw_scene(0, index, (round(height / factor), round(width / factor)))
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    rows = np.arange(height) * town.shape[0] // height
    columns = np.arange(width) * town.shape[1] // width
    class_of = np.full(256, IGNORE, np.uint8)
    class_of[:_VOID] = (np.arange(_VOID) + _VOID * index) % num_classes
    return Scene(image, class_of[town[rows[:, None], columns]])


def _boxed(index: int, size: Size, num_classes: int) -> Scene:
    """A street scene whose labels are rectangles side by side, each of another class, unrelated to the image."""
    height, width = size
    step, margin = width // _BOXES, width // (8 * _BOXES)
    boxes = []
    for place in range(_BOXES):
        top = height * (2 + place) // 16
        class_id = 1 + (_BOXES * index + place) % (num_classes - 1)
        boxes.append(Box(class_id, place * step + margin, top, (place + 1) * step - margin, top + height // 2))
    labels = np.zeros(size, np.uint8)
    for class_id, left, top, right, bottom in boxes:
        labels[top:bottom, left:right] = class_id
    return Scene(_scene(index, size, num_classes).image, labels, tuple(boxes))
