"""The words for images, masks and splits, and which folders hold which by the words in their names.

`img_dir` with `ann_dir`, `ISIC2018_Training_Input` with `ISIC2018_Training_GroundTruth`, `train_x` with `train_y`.

Names of whole folders (`folder`), parts of file names (`matching`) and columns of lists (`lists`) are made of the same
words; each place adds what means something there alone.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pixelwise.datasets.layouts.listing import subfolders

IMAGE_WORDS = (
    "images", "image", "imgs", "img", "inputs", "input", "photos", "photo", "pictures", "picture", "frames", "frame",
    "rgb",
)  # fmt: skip
"""Words for images, in names of folders, files and columns."""
MASK_MARKS = ("masks", "mask", "labels", "label", "annotations", "annotation", "gt", "segmentation", "seg")
"""Words that a mask's file name has beside the image's name."""
MASK_WORDS = (*MASK_MARKS, "segmentations", "targets", "target")
"""Words for masks where nothing else has such a name: folders and columns."""
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names (lower case) that are splits."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IMAGES = {*IMAGE_WORDS, "x"}
_MASKS = {*MASK_WORDS, "ann", "anns", "annot", "groundtruth", "truth", "y"}
_SAY_NOTHING = {"ground", "dir", "folder", "data", "dataset"}

Folders = dict[str | None, tuple[Path, Path]]


class Kind(enum.Enum):
    """What a folder holds by its name."""

    IMAGES = "images"
    MASKS = "masks"


def kind_of(name: str) -> Kind | None:
    """What a folder of this name holds; None where no word says it."""
    words = set(_words(name))
    if words & _MASKS:
        return Kind.MASKS
    return Kind.IMAGES if words & _IMAGES else None


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of splits directly below `folder`: `train`, `val` or `test` -> path."""
    return {SPLIT_NAMES[name]: path for name, path in subfolders(folder).items() if name in SPLIT_NAMES}


def split_of(parts: Iterable[str]) -> str | None:
    """The split that a path belongs to: of its folders' names the first that is one."""
    return next((SPLIT_NAMES[part.lower()] for part in parts if part.lower() in SPLIT_NAMES), None)


def folders_by_words(folders: Mapping[str, Path]) -> Folders:
    """Split -> its folders of images and of masks; the split is None where no name says one.

    Two folders belong together where the other words of their names are the same, or where there is only one of
    each kind. Empty where that is ambiguous: two folders of images for the same split.

    Args:
        folders: Folders side by side.
    """
    images: dict[tuple[str, ...], list[Path]] = {}
    masks: dict[tuple[str, ...], list[Path]] = {}
    for path in folders.values():
        kind = kind_of(path.name)
        if kind is not None:
            group, known = (masks, _MASKS) if kind is Kind.MASKS else (images, _IMAGES)
            others = tuple(word for word in _words(path.name) if word not in known and word not in _SAY_NOTHING)
            group.setdefault(others, []).append(path)
    if len(images) == 1 and len(masks) == 1:
        # The only folders of their kinds, whatever else their names say.
        (words, found), (_, of_masks) = *images.items(), *masks.items()
        groups = [(split_of(words), found, of_masks)]
    else:
        groups = [(split_of(words), images[words], masks[words]) for words in images if words in masks]
    pairs: Folders = {}
    for split, found, of_masks in groups:
        if len(found) > 1 or len(of_masks) > 1 or split in pairs:
            return {}
        pairs[split] = (found[0], of_masks[0])
    return pairs if len(pairs) == 1 or None not in pairs else {}


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
