"""CamVid with 11 classes at 480x360, the version of SegNet (Badrinarayanan et al., PAMI 2017).

Two layouts: SegNet's own (`train/ trainannot/ val/ valannot/ test/ testannot/`) and
`images/{split}/ masks/{split}/`.
"""

from __future__ import annotations

import re
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts import SPLIT_NAMES, Layout, in_order
from pixelwise.datasets.listing import list_images, subfolders
from pixelwise.datasets.pairing import pair_folders
from pixelwise.datasets.samples import Sample

LOOKED_FOR = "train/ with trainannot/ (SegNet), or images/{split}/ with masks/{split}/"
# The four drives of the data set; every frame's name starts with one of them.
_FRAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+", re.IGNORECASE)


def camvid_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it is neither of the two."""
    folders = subfolders(root)
    description = "CamVid: images/{split}/ with masks/{split}/"
    inner = subfolders(folders["images"]) if "images" in folders and "masks" in folders else {}
    pairs = {name: (path, folders["masks"] / path.name) for name, path in inner.items() if name in SPLIT_NAMES}
    if not pairs:
        description = "CamVid as SegNet ships it: {split}/ with {split}annot/"
        pairs = {
            name: (folders[name], folders[f"{name}annot"])
            for name in SPLIT_NAMES
            if name in folders and f"{name}annot" in folders
        }
    if not pairs:
        return None
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, (images, masks) in pairs.items():
        splits[SPLIT_NAMES[name]], findings = pair_folders(SPLIT_NAMES[name], images, masks)
        problems += findings
    return Layout(name="camvid", description=description, root=root, splits=in_order(splits), problems=tuple(problems))


def looks_like_camvid(root: Path) -> bool:
    """Whether `root` is CamVid: SegNet's folders, or frames that are named like CamVid's."""
    folders = subfolders(root)
    if "train" in folders and "trainannot" in folders:
        return True
    names = [entry.key for entry in list_images(folders["images"]).entries] if "images" in folders else []
    return bool(names) and all(_FRAME.fullmatch(name.rpartition("/")[2]) for name in names)
