"""COCO-Stuff with 171 classes (Caesar et al., CVPR 2018): COCO 2017 with `stuffthingmaps_trainval2017`."""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import PUBLIC, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.published.coco2017 import IMAGE_ARCHIVES
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.matching import match_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import COCOSTUFF171

_MASK_FOLDERS = ("stuffthingmaps_trainval2017", "stuffthingmaps", "annotations", "masks")


def cocostuff_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no COCO-Stuff masks."""
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for split in ("train", "val"):
        images = next((p for p in (root / f"{split}2017", root / "images" / f"{split}2017") if p.is_dir()), None)
        masks = next((p for name in _MASK_FOLDERS if (p := root / name / f"{split}2017").is_dir()), None)
        if images is not None and masks is not None:
            splits[split], findings = match_folders(split, images, masks)
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
    """Whether `root` holds the folder that the archive of masks unpacks to. Reads no file."""
    return any((root / name / f"{split}2017").is_dir() for name in _MASK_FOLDERS[:2] for split in ("train", "val"))


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members, start=1):
            write_image(root / f"{split}2017" / f"{number:012d}.jpg", scene.image)
            masks = root / "stuffthingmaps_trainval2017" / f"{split}2017"
            write_image(masks / f"{number:012d}.png", scenes.mask(scene))


register(
    Format(
        name="cocostuff171",
        title="COCO-Stuff, 171 classes",
        expected="{train,val}2017/ (or images/{train,val}2017/) with {train,val}2017/ in "
        "stuffthingmaps_trainval2017/, stuffthingmaps/ or annotations/",
        layout=cocostuff_layout,
        recognise=looks_like_cocostuff,
        priority=PUBLIC,
        classes=COCOSTUFF171,
        publications=(
            Publication(
                name="cocostuff",
                summary="COCO-Stuff, COCO 2017 with 171 classes: 118287 training and 5000 validation images.",
                terms="annotations CC BY 4.0, images under Flickr's terms of use; github.com/nightrome/cocostuff",
                sources=(
                    *IMAGE_ARCHIVES,
                    Source(
                        file="stuffthingmaps_trainval2017.zip",
                        url="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/"
                        "stuffthingmaps_trainval2017.zip",
                        brings="stuffthingmaps_trainval2017",
                        into="stuffthingmaps_trainval2017",
                    ),
                ),
                expected={
                    f"{folder}{split}2017/*.{ending}": count
                    for split, count in (("train", 118287), ("val", 5000))
                    for folder, ending in (("", "jpg"), ("stuffthingmaps_trainval2017/", "png"))
                },
            ),
        ),
        miniature=Miniature(write=_write, size=(480, 640)),
    )
)
