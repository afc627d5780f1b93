"""Pascal VOC 2012 (Everingham et al., IJCV 2010) with the masks of SBD (Hariharan et al., ICCV 2011).

Three splits of `VOCdevkit/VOC2012`, each a list of names in `ImageSets/Segmentation`: `train` and `val`
with VOC's own masks (`SegmentationClass`), and `train_aug` with the masks of both in one folder
(`SegmentationClassAug`): 10,582 images, which is what most published numbers were trained on. `train`
is a part of `train_aug`, so only one of them is opened: the one that is trained on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.layout import Layout, all_match, in_order
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.samples import Sample
from pixelwise.storage import printable

LOOKED_FOR = (
    "VOCdevkit/VOC2012/ (or VOC2012/ itself) with JPEGImages/, SegmentationClass/ and "
    "ImageSets/Segmentation/{train,val}.txt"
)
_NAME = re.compile(r"\d{4}_\d{6}")
_LISTS = ("ImageSets", "Segmentation")
_OWN, _MERGED = "SegmentationClass", "SegmentationClassAug"
_SBD = Path("benchmark_RELEASE", "dataset")


def voc_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no VOC 2012.

    What a split lacks (its list, or the merged masks) is D226 in `Layout.problems_of`; names without
    image or mask are D220.
    """
    found = _find(root)
    if found is None:
        return None
    images, problems = _by_name(found / "JPEGImages")
    own, own_problems = _by_name(found / _OWN)
    merged, merged_problems = _by_name(found / _MERGED)
    problems = [*problems, *own_problems, *merged_problems]
    splits: dict[str, tuple[Sample, ...]] = {}
    problems_of: dict[str, tuple[Finding, ...]] = {}
    for split, masks in (("train", merged | own), ("val", merged | own), ("train_aug", own | merged)):
        names, missing = _augmented_names(found, root) if split == "train_aug" else _names(found, split)
        if split == "train_aug" and missing is None and not merged:
            missing = _no_merged_masks(found, root)
        if missing is not None:
            problems_of[split] = (missing,)
        else:
            splits[split], problems_of[split] = _listed(split, names, images, masks, found)
    return Layout(
        name="voc-aug",
        description="Pascal VOC 2012: JPEGImages/ with SegmentationClass/ or SegmentationClassAug/, listed in "
        "ImageSets/Segmentation/",
        root=found,
        splits=in_order(splits),
        problems=tuple(problems),
        problems_of=problems_of,
        overlapping=("train", "train_aug"),
    )


def looks_like_voc(layout: Layout) -> bool:
    """Whether the images are named like VOC's (`2007_000032`), not only laid out like them."""
    return all_match(layout, _NAME)


def _find(root: Path) -> Path | None:
    for candidate in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        has_masks = (candidate / _OWN).is_dir() or (candidate / _MERGED).is_dir()
        if has_masks and (candidate / "JPEGImages").is_dir() and candidate.joinpath(*_LISTS).is_dir():
            return candidate
    return None


def _by_name(folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    if not folder.is_dir():
        return {}, []
    listing = list_images(folder)
    return {entry.key: entry.path for entry in listing.entries}, listing.problems


def _read_list(file: Path) -> list[str] | None:
    """The names in a list file, None where there is none.

    Some copies of `trainaug.txt` hold paths of image and mask instead of names.
    """
    try:
        lines = file.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return list(dict.fromkeys(Path(line.split()[0]).stem for line in lines if line.strip()))


def _names(found: Path, split: str) -> tuple[list[str], Finding | None]:
    file = found.joinpath(*_LISTS, f"{split}.txt")
    names = _read_list(file)
    if names is not None:
        return names, None
    return [], finding(
        "D226",
        f"{printable(file)}: cannot be read, so split '{split}' is not known",
        [printable(file)],
        "it is part of VOCtrainval_11-May-2012.tar: one image name without ending per line",
    )


def _augmented_names(found: Path, root: Path) -> tuple[list[str], Finding | None]:
    """The list `trainaug.txt`, or the same computed: all images of SBD and VOC's train, without VOC's val."""
    folder = found.joinpath(*_LISTS)
    for name in ("trainaug.txt", "train_aug.txt"):
        names = _read_list(folder / name)
        if names is not None:
            return names, None
    sbd = _sbd_folder(found, root)
    lists = [folder / "train.txt", folder / "val.txt"]
    if sbd is not None:
        lists += [sbd / "train.txt", sbd / "val.txt"]
        train, val, *augmented = (_read_list(file) for file in lists)
        if train is not None and val is not None and None not in augmented:
            names = {*train, *(name for names in augmented for name in names or ())}
            return sorted(names - set(val)), None
    return [], finding(
        "D226",
        f"{printable(folder)}: no trainaug.txt, so split 'train_aug' is not known",
        [printable(folder / "trainaug.txt")],
        "put trainaug.txt (10582 names) there, or unpack SBD's benchmark.tgz, whose lists of images say the same, so "
        f"that {printable(found.parent / _SBD)}/train.txt and val.txt exist; or train on VOC's 1464 images: "
        "data.train_split=train",
    )


def _no_merged_masks(found: Path, root: Path) -> Finding:
    sbd = _sbd_folder(found, root)
    matlab = "" if sbd is None else f"; SBD's own masks in {printable(sbd / 'cls')} are MATLAB files, convert them"
    return finding(
        "D226",
        f"{printable(found / _MERGED)}: no masks, so split 'train_aug' has none",
        [printable(found / _MERGED)],
        f"put the masks of SBD and VOC there, one PNG of class ids (0..20, 255 = ignored) per image, named like the "
        f"images{matlab}; or train on VOC's 1464 images: data.train_split=train",
    )


def _sbd_folder(found: Path, root: Path) -> Path | None:
    for folder in (root, found, found.parent, found.parent.parent):
        if (folder / _SBD).is_dir():
            return folder / _SBD
    return None


def _listed(
    split: str, names: Sequence[str], images: dict[str, Path], masks: dict[str, Path], root: Path
) -> tuple[tuple[Sample, ...], tuple[Finding, ...]]:
    """Samples of the names that have an image and a mask, sorted; D220 for the others, D221 for none."""
    findings = []
    for what, files, folder in (
        ("image", images, root / "JPEGImages"),
        ("mask", masks, root / (_MERGED if split == "train_aug" else _OWN)),
    ):
        lacking = [name for name in names if name not in files and (what == "image" or name in images)]
        if lacking:
            findings.append(
                finding(
                    "D220",
                    f"{split}: {len(lacking)} of {len(names)} names in its list have no {what} in {printable(folder)}, "
                    f"e.g. {printable(lacking[0])}",
                    [printable(folder / name) for name in lacking],
                    "unpack the archives again or correct the list, or train without them: 'data.allow=[\"D220\"]'",
                )
            )
    if not names:
        empty = f"split '{split}' is empty: its list names no image"
        findings.append(finding("D221", empty, [], "restore the list from its archive"))
    usable = sorted(name for name in names if name in images and name in masks)
    return tuple(Sample(name, images[name], masks[name]) for name in usable), tuple(findings)
