"""Cityscapes (Cordts et al., CVPR 2016, arXiv:1604.01685) as its archives unpack."""

from __future__ import annotations

import re
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts import Layout, in_order, split_folders
from pixelwise.datasets.listing import Listing, list_images, subfolders
from pixelwise.datasets.pairing import pair
from pixelwise.datasets.samples import Sample

LOOKED_FOR = "leftImg8bit/{split}/{city}/*_leftImg8bit.png with gtFine/{split}/{city}/*_gtFine_labelIds.png"
_ENDING = re.compile(r"_(leftImg8bit|gtFine_labelIds)$")


def cityscapes_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it does not hold `leftImg8bit` and `gtFine`."""
    folders = subfolders(root)
    if "leftimg8bit" not in folders or "gtfine" not in folders:
        return None
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, folder in split_folders(folders["leftimg8bit"]).items():
        masks = folders["gtfine"] / folder.name
        images = list_images(folder)
        labels = list_images(masks) if masks.is_dir() else Listing([], [])
        problems += images.problems + labels.problems
        splits[name], findings = pair(
            name,
            [entry for entry in images.entries if entry.key.endswith("_leftImg8bit")],
            # gtFine also holds colour pictures and instance numbers of every image.
            [entry for entry in labels.entries if entry.key.endswith("_gtFine_labelIds")],
            masks=masks,
            base=lambda key: _ENDING.sub("", key),
        )
        problems += findings
    return Layout(
        name="cityscapes",
        description="Cityscapes: leftImg8bit/ with gtFine/ (labelIds)",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
    )
