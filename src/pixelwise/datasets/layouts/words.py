"""Which folders hold images and which their masks, by the words in their names.

`img_dir` with `ann_dir`, `ISIC2018_Training_Input` with `ISIC2018_Training_GroundTruth`, `train_x` with `train_y`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from pathlib import Path

from pixelwise.datasets.layouts.layout import split_of

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IMAGES = {
    "image", "images", "img", "imgs", "input", "inputs", "photo", "photos", "picture", "pictures", "frame", "frames",
    "rgb", "x",
}  # fmt: skip
_MASKS = {
    "mask", "masks", "label", "labels", "annotation", "annotations", "ann", "anns", "annot", "gt", "groundtruth",
    "truth", "seg", "segmentation", "segmentations", "target", "targets", "y",
}  # fmt: skip
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
