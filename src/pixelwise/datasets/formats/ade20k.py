"""ADE20K as the scene parsing benchmark ships it (Zhou et al., CVPR 2017): `ADEChallengeData2016.zip`.

`ade20k` and `ade20k32` are the same files, read with different label tables.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.layout import Layout, all_match, in_order, split_folders
from pixelwise.datasets.layouts.listing import subfolders
from pixelwise.datasets.layouts.pairing import pair_folders
from pixelwise.datasets.samples import Sample

LOOKED_FOR = (
    "ADEChallengeData2016/ (or the folder itself) with images/{training,validation}/ and "
    "annotations/{training,validation}/"
)
_NAME = re.compile(r"ADE_(train|val)_\d{8}")


def ade20k_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if neither it nor `ADEChallengeData2016` below it holds the splits."""
    found = _find(root)
    if found is None:
        return None
    folders = subfolders(found)
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, folder in split_folders(folders["images"]).items():
        splits[name], findings = pair_folders(name, folder, folders["annotations"] / folder.name)
        problems += findings
    return Layout(
        name="ade20k",
        description="ADE20K: images/{training,validation}/ with annotations/{training,validation}/",
        root=found,
        splits=in_order(splits),
        problems=tuple(problems),
    )


def ade20k32_layout(root: Path) -> Layout | None:
    """As `ade20k_layout`, for 32 classes."""
    layout = ade20k_layout(root)
    return layout and msgspec.structs.replace(layout, name="ade20k32")


def looks_like_ade20k(layout: Layout) -> bool:
    """Whether the files of a layout are named like ADE20K's, not only laid out like them."""
    return all_match(layout, _NAME)


def _find(root: Path) -> Path | None:
    for candidate in (root, root / "ADEChallengeData2016"):
        folders = subfolders(candidate)
        if "images" in folders and "annotations" in folders:
            names = subfolders(folders["images"])
            if names.keys() & {"training", "validation"}:
                return candidate
    return None
