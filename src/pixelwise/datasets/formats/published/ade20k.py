"""ADE20K as released for the scene parsing benchmark (Zhou et al., CVPR 2017): `ADEChallengeData2016.zip`.

`ade20k` and `ade20k32` read the same files with different label tables.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import PUBLIC, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, all_match, in_order
from pixelwise.datasets.layouts.listing import image_stems, subfolders
from pixelwise.datasets.layouts.matching import match_folders
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import ADE20K, ADE20K32

_NAME = re.compile(r"ADE_(train|val)_\d{8}")


def ade20k_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if neither `root` nor its subfolder `ADEChallengeData2016` holds the splits."""
    found = _find(root)
    if found is None:
        return None
    folders = subfolders(found)
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, folder in split_folders(folders["images"]).items():
        splits[name], findings = match_folders(name, folder, folders["annotations"] / folder.name)
        problems += findings
    return Layout(
        name="ade20k",
        description="ADE20K: images/{training,validation}/ with annotations/{training,validation}/",
        root=found,
        splits=in_order(splits),
        problems=tuple(problems),
    )


def ade20k32_layout(root: Path) -> Layout | None:
    """The layout of the same files as `ade20k_layout`, read as 32 classes."""
    layout = ade20k_layout(root)
    return layout and msgspec.structs.replace(layout, name="ade20k32")


def looks_like_ade20k(root: Path) -> bool:
    """Whether the masks below `root` have ADE20K's file names as well as its folder layout."""
    found = _find(root)
    if found is None:
        return False
    masks = split_folders(subfolders(found)["annotations"])
    return all_match((stem for folder in masks.values() for stem in image_stems(folder)), _NAME)


def _find(root: Path) -> Path | None:
    for candidate in (root, root / "ADEChallengeData2016"):
        folders = subfolders(candidate)
        if "images" in folders and "annotations" in folders:
            names = subfolders(folders["images"])
            if names.keys() & {"training", "validation"}:
                return candidate
    return None


def _write(root: Path, scenes: Scenes) -> None:
    home = root / _UNPACKED
    for split, folder in (("train", "training"), ("val", "validation")):
        for number, scene in enumerate(scenes.splits[split], start=1):
            stem = f"ADE_{split}_{number:08d}"
            write_image(home / "images" / folder / f"{stem}.jpg", scene.image)
            write_image(home / "annotations" / folder / f"{stem}.png", scenes.mask(scene))


_UNPACKED = "ADEChallengeData2016"
_EXPECTED = (
    f"{_UNPACKED}/ (or the folder itself) with images/{{training,validation}}/ and annotations/{{training,validation}}/"
)
_PUBLICATION = Publication(
    name="ade20k",
    summary="ADE20K, the scene parsing benchmark: 20210 training and 2000 validation images, 150 classes.",
    terms="research and teaching; groups.csail.mit.edu/vision/datasets/ADE20K/terms",
    sources=(
        Source(
            file="ADEChallengeData2016.zip",
            url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
            brings=f"{_UNPACKED}/annotations",
        ),
    ),
    expected={
        f"{_UNPACKED}/{kind}/{split}/*.{ending}": count
        for split, count in (("training", 20210), ("validation", 2000))
        for kind, ending in (("images", "jpg"), ("annotations", "png"))
    },
    unpacks_to=_UNPACKED,
)
register(
    Format(
        name="ade20k",
        title="ADE20K, 150 classes",
        expected=_EXPECTED,
        layout=ade20k_layout,
        recognise=looks_like_ade20k,
        priority=PUBLIC,
        classes=ADE20K,
        publications=(_PUBLICATION,),
        miniature=Miniature(write=_write, size=(512, 683)),
    )
)
register(
    Format(
        name="ade20k32",
        title="ADE20K, 32 classes",
        expected=_EXPECTED,
        layout=ade20k32_layout,
        classes=ADE20K32,
        publications=(_PUBLICATION,),
        miniature=Miniature(write=_write, size=(512, 683)),
    )
)
