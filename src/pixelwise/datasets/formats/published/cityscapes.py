"""Cityscapes (Cordts et al., CVPR 2016, arXiv:1604.01685) in the layout of its archives.

Masks are `*_labelIds.png` (raw 0..33) or, if there are none, `*_labelTrainIds.png` (0..18, 255 = ignored), as written
by cityscapesScripts. Besides the fine splits there are two training splits with coarse masks: `train_extra`
(19,998 images) and `train_coarse` (coarse masks of the images in train). Of the three training splits, only the one
named by `data.train_split` is opened.
"""

from __future__ import annotations

import re
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import UNMISTAKABLE, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Listing, list_images, subfolders
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import CITYSCAPES, IGNORE

_ENDING = re.compile(r"_(leftImg8bit|(gtFine|gtCoarse)_label(Train)?Ids)$")
_IMAGES, _MASKS = "leftimg8bit", ("gtfine", "gtcoarse")
_COARSE = {"train_extra": "train_extra", "train_coarse": "train"}
"""Split with coarse masks -> its folder below leftImg8bit and gtCoarse."""


def cityscapes_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it does not hold `leftImg8bit` and `gtFine` or `gtCoarse`."""
    folders = subfolders(root)
    images, fine, coarse = (folders.get(name) for name in (_IMAGES, *_MASKS))
    if images is None or (fine is None and coarse is None):
        return None
    places: dict[str, tuple[Path, Path]] = {}
    if fine is not None:
        places |= {name: (folder, fine / folder.name) for name, folder in split_folders(images).items()}
    if coarse is not None:
        places |= {
            name: (images / folder, coarse / folder)
            for name, folder in _COARSE.items()
            if (images / folder).is_dir() and (coarse / folder).is_dir()
        }
    listed = {name: (list_images(folder), _list(masks)) for name, (folder, masks) in places.items()}
    masks = [entry.key for _, labels in listed.values() for entry in labels.entries]
    with_ids = any(key.endswith("_labelIds") for key in masks) or not any(
        key.endswith("_labelTrainIds") for key in masks
    )
    ending = "_labelIds" if with_ids else "_labelTrainIds"
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    problems_of: dict[str, tuple[Finding, ...]] = {}
    for name, (found, labels) in listed.items():
        splits[name], findings = match_files(
            name,
            [entry for entry in found.entries if entry.key.endswith("_leftImg8bit")],
            # The folders also hold a colour rendering and instance ids of every image.
            [entry for entry in labels.entries if entry.key.endswith(ending)],
            masks=places[name][1],
            base=lambda key: _ENDING.sub("", key),
        )
        findings = [*found.problems, *labels.problems, *findings]
        if name in ("train", *_COARSE):
            problems_of[name] = tuple(findings)
        else:
            problems += findings
    return Layout(
        name="cityscapes",
        description=f"Cityscapes: leftImg8bit/ with {' and '.join(f.name + '/' for f in (fine, coarse) if f)} "
        f"({ending[1:]})",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        problems_of=problems_of,
        overlapping=("train", *_COARSE),
        label_map=None if with_ids else {**{i: i for i in range(len(CITYSCAPES.names))}, IGNORE: IGNORE},
    )


def looks_like_cityscapes(root: Path) -> bool:
    """Whether `root` has Cityscapes' folder names, which no other data set uses."""
    return _IMAGES in (folders := subfolders(root)) and not folders.keys().isdisjoint(_MASKS)


def _list(masks: Path) -> Listing:
    return list_images(masks) if masks.is_dir() else Listing([], [])


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            stem = f"aachen_{number:06d}_000019"
            write_image(root / "leftImg8bit" / split / "aachen" / f"{stem}_leftImg8bit.png", scene.image)
            write_image(root / "gtFine" / split / "aachen" / f"{stem}_gtFine_labelIds.png", scenes.mask(scene))


_TERMS = "non-commercial; registration at www.cityscapes-dataset.com"
_LOGIN = "register at https://www.cityscapes-dataset.com, log in, and download "
register(
    Format(
        name="cityscapes",
        title="Cityscapes",
        expected="leftImg8bit/{split}/{city}/*_leftImg8bit.png with gtFine/{split}/{city}/*_gtFine_labelIds.png (or "
        "labelTrainIds), or with gtCoarse/",
        layout=cityscapes_layout,
        recognise=looks_like_cityscapes,
        priority=UNMISTAKABLE,
        classes=CITYSCAPES,
        publications=(
            Publication(
                name="cityscapes",
                summary="Cityscapes, fine annotations: 2975 train, 500 val and 1525 test images of 2048x1024, 19 "
                "classes.",
                terms=_TERMS,
                sources=(
                    Source(file="leftImg8bit_trainvaltest.zip", url=None, brings="leftImg8bit"),
                    Source(file="gtFine_trainvaltest.zip", url=None, brings="gtFine"),
                ),
                expected={
                    pattern.format(split): count
                    for split, count in (("train", 2975), ("val", 500), ("test", 1525))
                    for pattern in ("leftImg8bit/{}/*/*_leftImg8bit.png", "gtFine/{}/*/*_gtFine_labelIds.png")
                },
                by_hand=f"{_LOGIN}leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB)",
            ),
            Publication(
                name="cityscapes-coarse",
                summary="Cityscapes, coarse annotations: 19998 more training images (data.train_split=train_extra).",
                terms=_TERMS,
                sources=(
                    Source(file="leftImg8bit_trainextra.zip", url=None, brings="leftImg8bit/train_extra"),
                    Source(file="gtCoarse.zip", url=None, brings="gtCoarse"),
                ),
                expected={
                    "leftImg8bit/train_extra/*/*_leftImg8bit.png": 19998,
                    "gtCoarse/train_extra/*/*_gtCoarse_labelIds.png": 19998,
                    "gtCoarse/train/*/*_gtCoarse_labelIds.png": 2975,
                },
                by_hand=f"{_LOGIN}leftImg8bit_trainextra.zip (44 GB) and gtCoarse.zip (1.3 GB)",
            ),
        ),
        miniature=Miniature(write=_write, size=(1024, 2048)),
    )
)
