"""Pascal VOC 2012 (Everingham et al., IJCV 2010) with the masks of SBD (Hariharan et al., ICCV 2011).

`VOCdevkit/VOC2012` has three splits, each a list of names in `ImageSets/Segmentation`: `train` and `val` with VOC's
own masks (`SegmentationClass`), and `train_aug` with the masks of both data sets in one folder
(`SegmentationClassAug`): 10,582 images, the training set of most published results. `train` is a subset of
`train_aug`, so only the one to train on is opened.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import PUBLIC, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.published.sbd import write_augmented
from pixelwise.datasets.layouts.layout import Layout, all_match, in_order
from pixelwise.datasets.layouts.listing import list_images
from pixelwise.datasets.layouts.lists.lines import list_lines
from pixelwise.datasets.layouts.lists.rows import names_in
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.class_sets.tables import VOC
from pixelwise.storage import printable, write_text

_NAME = re.compile(r"\d{4}_\d{6}")
_LISTS = ("ImageSets", "Segmentation")
_AUGMENTED = ("trainaug", "train_aug")
_OWN, _MERGED = "SegmentationClass", "SegmentationClassAug"
_SBD = Path("benchmark_RELEASE", "dataset")


def voc_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no VOC 2012.

    A missing list of a split and missing merged masks are D226 in `Layout.problems_of`; names without image or mask
    are D220.
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


def looks_like_voc(root: Path) -> bool:
    """Whether `root` has VOC's folders and its lists hold names like VOC's (`2007_000032`)."""
    found = _find(root)
    if found is None:
        return False
    lists = (_read_list(found.joinpath(*_LISTS, f"{split}.txt")) for split in ("train", "val", *_AUGMENTED))
    return all_match((name for names in lists for name in names or ()), _NAME)


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
    """The names in a list file; None if it cannot be read.

    Some copies of `trainaug.txt` hold paths of image and mask instead of names.
    """
    try:
        lines = [line for _, line in list_lines(file) if line]
    except DataError:
        return None
    return list(dict.fromkeys(name for line in lines for name in names_in(line)))


def _names(found: Path, split: str) -> tuple[list[str], Finding | None]:
    file = found.joinpath(*_LISTS, f"{split}.txt")
    names = _read_list(file)
    if names is not None:
        return names, None
    return [], finding(
        "D226",
        f"{printable(file)}: cannot be read, so the images of split '{split}' are unknown",
        [printable(file)],
        "unpack VOCtrainval_11-May-2012.tar again, which contains it: one image name without extension per line",
    )


def _augmented_names(found: Path, root: Path) -> tuple[list[str], Finding | None]:
    """The names in `trainaug.txt`, or the same set computed: SBD's images and VOC's train, without VOC's val."""
    folder = found.joinpath(*_LISTS)
    for name in _AUGMENTED:
        names = _read_list(folder / f"{name}.txt")
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
        f"{printable(folder)}: no trainaug.txt, so the images of split 'train_aug' are unknown",
        [printable(folder / "trainaug.txt")],
        "put trainaug.txt (10582 names) there, or unpack SBD's benchmark.tgz so that "
        f"{printable(found.parent / _SBD)}/train.txt and val.txt exist, which give the same names; or train on VOC's "
        "1464 images: data.train_split=train",
    )


def _no_merged_masks(found: Path, root: Path) -> Finding:
    sbd = _sbd_folder(found, root)
    matlab = "" if sbd is None else f" (convert SBD's masks in {printable(sbd / 'cls')}, which are MATLAB files)"
    return finding(
        "D226",
        f"{printable(found / _MERGED)}: no masks for split 'train_aug'",
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
    """Sorted samples of the names that have an image and a mask; D220 for the others, D221 for an empty list."""
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


def _write(root: Path, scenes: Scenes) -> None:
    """Write VOC with SBD's masks merged: the first half of the training images is VOC's own, the rest SBD's."""
    home = root / _UNPACKED
    train, val = scenes.splits["train"], scenes.splits["val"]
    named = {f"2008_{number:06d}": scene for number, scene in enumerate((*train, *val))}
    names, own = list(named), (len(train) + 1) // 2
    for number, (name, scene) in enumerate(named.items()):
        write_image(home / "JPEGImages" / f"{name}.jpg", scene.image)
        if number < len(train):
            write_image(home / _MERGED / f"{name}.png", scenes.mask(scene))
        if number < own or number >= len(train):
            write_image(home / _OWN / f"{name}.png", scenes.mask(scene), VOC.palette)
    lists = home.joinpath(*_LISTS)
    lists.mkdir(parents=True)
    members = {"train": names[:own], "val": names[len(train) :], "trainaug": names[: len(train)]}
    for file, listed in members.items():
        write_text(lists / f"{file}.txt", "".join(f"{name}\n" for name in listed))


def merge_sbd(root: Path, observer: Observer = SILENT) -> None:
    """Merge the masks of SBD and VOC into one folder if both are below `root` and the merged list does not exist yet.

    Raises:
        DataError: D226, a list or a mask is missing or damaged.
        RecipeError: R240, scipy is not installed.
        ResourceError: S601, the disk is full.
    """
    found, sbd = root / _UNPACKED, root / _SBD
    if sbd.is_dir() and found.is_dir() and not found.joinpath(*_LISTS, "trainaug.txt").exists():
        observer.phase("converting SBD's masks")
        write_augmented(found, sbd, observer=observer)


_UNPACKED = "VOCdevkit/VOC2012"
register(
    Format(
        name="voc-aug",
        title="Pascal VOC 2012 with SBD's masks",
        expected=f"{_UNPACKED}/ (or VOC2012/ itself) with JPEGImages/, SegmentationClass/ and "
        "ImageSets/Segmentation/{train,val}.txt",
        layout=voc_layout,
        recognise=looks_like_voc,
        priority=PUBLIC,
        classes=VOC,
        publications=(
            Publication(
                name="voc-aug",
                summary="Pascal VOC 2012 with SBD's masks: 10582 training and 1449 validation images, 21 classes.",
                terms="Flickr's terms of use; host.robots.ox.ac.uk/pascal/VOC",
                sources=(
                    Source(
                        file="VOCtrainval_11-May-2012.tar",
                        url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                        brings=f"{_UNPACKED}/{_OWN}",
                        size=1_999_639_040,
                        sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
                    ),
                    Source(
                        file="benchmark.tgz",
                        url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
                        "benchmark.tgz",
                        brings="benchmark_RELEASE/dataset/cls",
                        sha256="6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
                    ),
                ),
                expected={
                    f"{_UNPACKED}/JPEGImages/*.jpg": 17125,
                    f"{_UNPACKED}/{_OWN}/*.png": 2913,
                    f"{_UNPACKED}/{_MERGED}/*.png": 12031,
                },
                unpacks_to=_UNPACKED,
                finish=merge_sbd,
            ),
        ),
        miniature=Miniature(write=_write, size=(375, 500), train_split="train_aug"),
    )
)
