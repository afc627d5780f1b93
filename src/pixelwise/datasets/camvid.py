"""CamVid with 11 classes at 480x360, the version of SegNet (Badrinarayanan et al., PAMI 2017).

Two layouts: SegNet's own (`train/ trainannot/ val/ valannot/ test/ testannot/`) and
`images/{split}/ masks/{split}/`.
"""

from __future__ import annotations

import re
from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts import Layout, in_order, split_folders
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
    pairs: dict[str, tuple[Path, Path]] = {}
    if "images" in folders and "masks" in folders:
        masks = split_folders(folders["masks"])
        for name, path in split_folders(folders["images"]).items():
            pairs[name] = (path, masks.get(name, folders["masks"] / path.name))
    if not pairs:
        description = "CamVid as SegNet ships it: {split}/ with {split}annot/"
        pairs = {
            name: (path, folders[f"{path.name.lower()}annot"])
            for name, path in split_folders(root).items()
            if f"{path.name.lower()}annot" in folders
        }
    if not pairs:
        return None
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, (image_folder, mask_folder) in pairs.items():
        splits[name], findings = pair_folders(name, image_folder, mask_folder)
        problems += findings
    return Layout(name="camvid", description=description, root=root, splits=in_order(splits), problems=tuple(problems))


def looks_like_camvid(root: Path) -> bool:
    """Whether `root` is CamVid: SegNet's folders, or frames that are named like CamVid's."""
    folders = subfolders(root)
    if "train" in folders and "trainannot" in folders:
        return True
    names = [entry.key for entry in list_images(folders["images"]).entries] if "images" in folders else []
    return bool(names) and all(_FRAME.fullmatch(name.rpartition("/")[2]) for name in names)
