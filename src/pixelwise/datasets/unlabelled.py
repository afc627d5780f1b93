"""Images of a folder that have no mask yet, and the place where a mask of each belongs."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path, PurePath
from typing import NamedTuple

from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.layouts.matching import is_mask_name
from pixelwise.datasets.layouts.words import IMAGE_WORDS, Kind, kind_of, split_of
from pixelwise.datasets.opening import open_dataset, open_folder, open_images
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable

_LACKING = ("D220", "W220")
"""Codes of findings about images without a mask."""
_FORMAT = "folder"
"""The format in which names alone decide what belongs together: in others, lists or annotations do."""
_BESIDE = "_mask"
_LOSSY = (".jpg", ".jpeg")


class Unlabelled(NamedTuple):
    """An image without a mask.

    Attributes:
        split: Its split, by the folder in which it lies; `train` if none says so.
        id: Its path below the data set without the folders that all images share; printable.
        image_path: The image.
        mask_path: Where its mask belongs, so that the data set finds it; that of one of the classes of multi-label
            data. There is no such file.
    """

    split: str
    id: str
    image_path: Path
    mask_path: Path


class _Rule(NamedTuple):
    """How the path of a mask follows from that of its image, relative to the data set.

    Attributes:
        depth: Number of folders above `folders`; only known where `folders` is empty.
        folders: Folders of the image that differ from those of its mask.
        others: What takes their place.
        prefix: Beginning of the image's name, and of its mask's.
        suffix: End of the image's name, and of its mask's.
    """

    depth: int
    folders: tuple[str, ...]
    others: tuple[str, ...]
    prefix: tuple[str, str] = ("", "")
    suffix: tuple[str, str] = ("", "")

    def mask_of(self, image: PurePath) -> PurePath | None:
        """The mask of an image, as a PNG file; None if the rule says nothing about it."""
        parts, length = image.parts[:-1], len(self.folders)
        places = [self.depth] if not length else range(len(parts) - length + 1)
        place = next((one for one in places if parts[one : one + length] == self.folders), None)
        stem, (before, after) = image.stem, (self.prefix[0], self.suffix[0])
        core = stem[len(before) : len(stem) - len(after)]
        if place is None or place > len(parts) or stem != before + core + after:
            return None
        folder = PurePath(*parts[:place], *self.others, *parts[place + length :])
        return folder / f"{self.prefix[1]}{core}{self.suffix[1]}.png"


def open_with_unlabelled(root: Path, data: Data | None = None) -> tuple[Dataset, tuple[Unlabelled, ...]]:
    """Open a custom data set, together with its images that have no mask yet; that may be all of them.

    Args:
        root: Folder of the data set. If no image has a mask, its `dataset.toml` or `data` has to name the classes.
        data: How it is read; None: as the generic recipe says.

    Raises:
        DataError: Any that `open_dataset` raises; D222 also if nothing names the classes of unlabelled images.
        RecipeError: Any that `open_dataset` raises.
    """
    try:
        dataset = open_folder(root)[1] if data is None else open_dataset(data, root)
    except DataError as error:
        images = list(_images(root)) if error.code == "D222" and root.is_dir() else []
        if not images or any(map(_is_mask, images)):
            raise
        dataset = open_images(root, error, data)
    return dataset, unlabelled_of(dataset)


def unlabelled_of(dataset: Dataset) -> tuple[Unlabelled, ...]:
    """The images of a data set that have no mask yet, in the order of their files.

    Where a mask belongs follows from the other pairs: first from those of the same folder, else from those of the whole
    data set, else from the names of the folders. Images for which nothing of this tells the place are left out, as are
    all of other formats than plain folders.
    """
    if dataset.name != _FORMAT or not any(one.code in _LACKING for one in dataset.problems):
        return ()
    root, known = dataset.root, _known_files(dataset)
    by_folder, everywhere, splits = _rules(dataset)
    found: list[Unlabelled] = []
    taken: set[Path] = set()
    for image in _images(root):
        path = root / image
        if os.fspath(path) in known or _is_orphan(image, everywhere):
            continue
        rules = [*by_folder.get(image.parent, ()), *everywhere] if everywhere else _by_words(dataset, image)
        mask = next((mask for rule in rules if (mask := rule.mask_of(image)) is not None), None)
        if mask is None or root / mask in taken or os.path.lexists(root / mask):
            continue
        taken.add(root / mask)
        split = splits.get(image.parent) or split_of(image.parts[:-1]) or "train"
        found.append(Unlabelled(split, _id(image), path, root / mask))
    return tuple(found)


def _images(root: Path) -> Iterator[PurePath]:
    return (entry.path.relative_to(root) for entry in list_images(root).entries)


def _known_files(dataset: Dataset) -> set[str]:
    return {
        os.fspath(path)
        for samples in dataset.splits.values()
        for sample in samples
        for path in (sample.image_path, *sample.mask_files)
    }


def _rules(
    dataset: Dataset,
) -> tuple[dict[PurePath, tuple[_Rule, ...]], tuple[_Rule, ...], dict[PurePath, str]]:
    """The rules of every folder of images and of the data set, the most frequent first; the split of every folder."""
    counts: dict[PurePath, Counter[_Rule]] = {}
    splits: dict[PurePath, str] = {}
    for split, samples in dataset.splits.items():
        for sample in samples:
            if sample.mask_path is None or not _is_below(sample.image_path, sample.mask_path, root=dataset.root):
                continue
            image = sample.image_path.relative_to(dataset.root)
            rule = _rule_of(image, sample.mask_path.relative_to(dataset.root))
            counts.setdefault(image.parent, Counter())[rule] += 1
            splits.setdefault(image.parent, split)
    total: Counter[_Rule] = sum(counts.values(), Counter())
    divided = {} if dataset.divided else splits
    return {folder: _frequent_first(each) for folder, each in counts.items()}, _frequent_first(total), divided


def _frequent_first(rules: Counter[_Rule]) -> tuple[_Rule, ...]:
    return tuple(rule for rule, _ in rules.most_common())


def _is_below(*paths: Path, root: Path) -> bool:
    return all(path.is_relative_to(root) for path in paths)


def _rule_of(image: PurePath, mask: PurePath) -> _Rule:
    """The rule by which a mask follows from its image."""
    folders, others = image.parts[:-1], mask.parts[:-1]
    depth = _alike(folders, others)
    folders, others = folders[depth:], others[depth:]
    end = _alike(folders[::-1], others[::-1])
    folders, others = folders[: len(folders) - end], others[: len(others) - end]
    begin, finish = _alike(image.stem, mask.stem), _alike(image.stem[::-1], mask.stem[::-1])
    known = depth if not folders else 0
    if begin >= finish:
        return _Rule(known, folders, others, suffix=(image.stem[begin:], mask.stem[begin:]))
    ends = len(image.stem) - finish, len(mask.stem) - finish
    return _Rule(known, folders, others, prefix=(image.stem[: ends[0]], mask.stem[: ends[1]]))


def _alike(one: Iterable[str], other: Iterable[str]) -> int:
    """Number of equal parts, or letters, at the beginning of both."""
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def _is_orphan(image: PurePath, rules: tuple[_Rule, ...]) -> bool:
    """Whether a file is rather a mask whose image is missing."""
    if _is_mask(image) or any(rule.others and _lies_in(image, rule.others) for rule in rules[:1]):
        return True
    beside = (
        bool(rules)
        and not rules[0].folders
        and not rules[0].others
        and rules[0] == rules[0]._replace(prefix=("", ""), suffix=("", ""))
    )
    return beside and image.suffix.lower() not in _LOSSY  # of a.jpg with a.png, the JPEG is the image


def _lies_in(image: PurePath, folders: tuple[str, ...]) -> bool:
    parts = image.parts[:-1]
    return any(parts[place : place + len(folders)] == folders for place in range(len(parts)))


def _is_mask(image: PurePath) -> bool:
    return is_mask_name(image.stem) or any(kind_of(part) is Kind.MASKS for part in image.parts[:-1])


def _by_words(dataset: Dataset, image: PurePath) -> list[_Rule]:
    """The rule for images of which none has a mask: `masks/` beside `images/`, else `a_mask.png` beside `a.png`.

    Multi-label data has a folder for each class in `masks/`; the place of the first one is given.
    """
    for depth, part in enumerate(image.parts[:-1]):
        if part.lower() in IMAGE_WORDS:
            above = dataset.root.joinpath(*image.parts[:depth])
            existing = sorted(one.name for one in above.iterdir() if one.is_dir() and kind_of(one.name) is Kind.MASKS)
            masks = existing[0] if existing else "masks"
            return [_Rule(0, (part,), (masks, dataset.classes[0]) if dataset.multilabel else (masks,))]
    return [] if dataset.multilabel else [_Rule(0, (), (), suffix=("", _BESIDE))]


def _id(image: PurePath) -> str:
    """The path of an image without its ending and without folders that only say that it is one, and of which split."""
    parts = [one for one in image.parts[:-1] if kind_of(one) is not Kind.IMAGES and split_of([one]) is None]
    return printable(unicodedata.normalize("NFC", "/".join([*parts, image.stem])))
