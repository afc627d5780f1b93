"""COCO-Stuff with 171 classes (Caesar et al., CVPR 2018): COCO 2017 with `stuffthingmaps_trainval2017`."""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.pairing import pair_folders
from pixelwise.datasets.samples import Sample

LOOKED_FOR = (
    "{train,val}2017/ (or images/{train,val}2017/) with {train,val}2017/ in stuffthingmaps_trainval2017/, "
    "stuffthingmaps/ or annotations/"
)
_MASK_FOLDERS = ("stuffthingmaps_trainval2017", "stuffthingmaps", "annotations", "masks")


def cocostuff_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no masks of COCO-Stuff."""
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for split in ("train", "val"):
        images = next((p for p in (root / f"{split}2017", root / "images" / f"{split}2017") if p.is_dir()), None)
        masks = next((p for name in _MASK_FOLDERS if (p := root / name / f"{split}2017").is_dir()), None)
        if images is not None and masks is not None:
            splits[split], findings = pair_folders(split, images, masks)
            problems += findings
    if not splits:
        return None
    return Layout(
        name="cocostuff171",
        description="COCO-Stuff: {split}2017/ with stuffthingmaps_trainval2017/{split}2017/",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
    )


def looks_like_cocostuff(root: Path) -> bool:
    """Whether `root` holds the folder that the masks' archive unpacks to. Reads nothing."""
    return any((root / name / f"{split}2017").is_dir() for name in _MASK_FOLDERS[:2] for split in ("train", "val"))
