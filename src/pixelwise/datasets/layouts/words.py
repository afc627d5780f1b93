"""Words that mark images, masks and splits in names, and the folders that belong together by these words.

Examples: `img_dir` with `ann_dir`, `ISIC2018_Training_Input` with `ISIC2018_Training_GroundTruth`, `train_x` with
`train_y`.

Names of folders (`folder`), parts of file names (`matching`) and columns of lists (`lists`) share the same words; each
module adds those that only make sense there.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pixelwise.datasets.layouts.listing import subfolders

IMAGE_WORDS = (
    "images", "image", "imgs", "img", "inputs", "input", "photos", "photo", "pictures", "picture", "frames", "frame",
    "rgb",
)  # fmt: skip
"""Words for images in the names of folders, files and columns."""
MASK_MARKS = ("masks", "mask", "labels", "label", "annotations", "annotation", "gt", "segmentation", "seg")
"""Words that the file name of a mask has in addition to the name of its image."""
MASK_WORDS = (*MASK_MARKS, "segmentations", "targets", "target")
"""Words for masks in the names of folders and columns, where they are unambiguous."""
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Lower-case name of a folder -> the split that it holds."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IMAGES = {*IMAGE_WORDS, "x"}
_MASKS = {*MASK_WORDS, "ann", "anns", "annot", "groundtruth", "truth", "y"}
_SAY_NOTHING = {"ground", "dir", "folder", "data", "dataset"}

Folders = dict[str | None, tuple[Path, Path]]


class Kind(enum.Enum):
    """The content of a folder, as judged by its name."""

    IMAGES = "images"
    MASKS = "masks"


def kind_of(name: str) -> Kind | None:
    """The content of a folder of this name; None if no word in it says so."""
    words = set(_words(name))
    if words & _MASKS:
        return Kind.MASKS
    return Kind.IMAGES if words & _IMAGES else None


def split_folders(folder: Path) -> dict[str, Path]:
    """The split folders directly below `folder`: `train`, `val` or `test` -> path."""
    return {SPLIT_NAMES[name]: path for name, path in subfolders(folder).items() if name in SPLIT_NAMES}


def split_of(parts: Iterable[str]) -> str | None:
    """The split that a path belongs to, by the first of its parts that names one; None if none does."""
    return next((SPLIT_NAMES[part.lower()] for part in parts if part.lower() in SPLIT_NAMES), None)


def named_split(parts: Sequence[str]) -> str | None:
    """The split that a word in a path names, the last part first: `train2017/` is train; None if none does."""
    return split_of(word for part in reversed(parts) for word in _words(part))


def folders_by_words(folders: Mapping[str, Path]) -> Folders:
    """Split -> its folder of images and its folder of masks; the split is None if no name gives one.

    Two folders belong together if the other words of their names are the same, or if there is only one of each kind.
    The result is empty if that is ambiguous, for example with two folders of images for the same split.

    Args:
        folders: Sibling folders, by name.
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
