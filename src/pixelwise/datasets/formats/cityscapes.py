"""Cityscapes (Cordts et al., CVPR 2016, arXiv:1604.01685) as its archives unpack.

Masks are `*_labelIds.png` (raw 0..33) or, where there are none, `*_labelTrainIds.png` (0..18, 255 = ignored),
as cityscapesScripts writes them. Beside the fine splits there are two with coarse masks to train on:
`train_extra` (19,998 images) and `train_coarse` (coarse masks of the images of train). One of the three is
opened: the one that is trained on (`data.train_split`).
"""

from __future__ import annotations

import re
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.layout import Layout, in_order, split_folders
from pixelwise.datasets.layouts.listing import Listing, list_images, subfolders
from pixelwise.datasets.layouts.pairing import pair
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.classes.tables import CITYSCAPES, IGNORE

LOOKED_FOR = (
    "leftImg8bit/{split}/{city}/*_leftImg8bit.png with gtFine/{split}/{city}/*_gtFine_labelIds.png (or "
    "labelTrainIds), or with gtCoarse/"
)
_ENDING = re.compile(r"_(leftImg8bit|(gtFine|gtCoarse)_label(Train)?Ids)$")
_COARSE = {"train_extra": "train_extra", "train_coarse": "train"}
"""Split with coarse masks -> its folder below leftImg8bit and gtCoarse."""


def cityscapes_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it does not hold `leftImg8bit` and `gtFine` or `gtCoarse`."""
    folders = subfolders(root)
    images, fine, coarse = (folders.get(name) for name in ("leftimg8bit", "gtfine", "gtcoarse"))
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
        splits[name], findings = pair(
            name,
            [entry for entry in found.entries if entry.key.endswith("_leftImg8bit")],
            # The folders also hold colour pictures and instance numbers of every image.
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


def _list(masks: Path) -> Listing:
    return list_images(masks) if masks.is_dir() else Listing([], [])
