"""nnU-Net's raw data sets (Isensee et al., Nature Methods 2021), versions 1 and 2, of two-dimensional images.

    dataset.json     imagesTr/CASE_0000.png     labelsTr/CASE.png     imagesTs/...  [labelsTs/...]  [splits_final.json]

`_0000` is the number of a channel. A case of one file is an ordinary image (nnU-Net stores RGB images that way, too);
the files of a case with several channels are joined to one TIFF file in the cache folder, whose bands `data.channels`
chooses. `labels` in `dataset.json` names the values of the masks; `ignore` marks ignored pixels. Of the folds in
`splits_final.json`, the first one divides the training cases into train and val.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tifffile

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import MASKS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.cached_files import cached_files
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images, subfolders
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.splits import Divided, divided
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, read_json, reading

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".b2nd")
_DESCRIPTION, _FOLDS = "dataset.json", "splits_final.json"
_SPLITS = {"train": ("imagestr", "labelstr"), "test": ("imagests", "labelsts")}
_IGNORED = "ignore"
_MOST_PIXELS = 1_000_000_000


class _Fold(msgspec.Struct):
    train: list[str]
    val: list[str]


class _Labels(NamedTuple):
    names: tuple[str, ...] | None
    ids: dict[int, int] | None
    problems: list[Finding]


def nnunet_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no `imagesTr`.

    Raises:
        DataError: D230, `dataset.json` or `splits_final.json` cannot be read; D241, the images are volumes.
        ResourceError: S601, the disk of the cache folder is full.
    """
    folders = subfolders(root)
    if "imagestr" not in folders:
        return None
    _refuse_volumes(folders["imagestr"])
    labels = _labels(root / _DESCRIPTION)
    problems = list(labels.problems)
    splits: dict[str, tuple[Sample, ...]] = {}
    for split, (of_images, of_masks) in _SPLITS.items():
        if of_images not in folders:
            continue
        images = list_images(folders[of_images])
        masks = list_images(folders[of_masks]) if of_masks in folders else Listing([], [])
        entries = _cases(root, images.entries)
        place = folders.get(of_masks, root / "labelsTr")
        splits[split], found = match_files(split, entries, masks.entries, masks=place)
        problems += [*images.problems, *masks.problems, *found]
    divisions, more = _folds(root / _FOLDS, splits["train"])
    division = divisions or divided(splits["train"])
    splits = {**division, **{name: s for name, s in splits.items() if name != "train"}}
    has_own = bool(divisions) or bool(splits.get("test"))
    return Layout(
        name="nnunet",
        description="nnU-Net: imagesTr/ with labelsTr/"
        + (f", divided into {division.in_words}" if has_own and isinstance(division, Divided) else ""),
        root=root,
        splits=in_order(splits if has_own else divided((*splits["train"], *splits["val"]))),
        problems=(*problems, *more),
        classes=labels.names,
        label_map=labels.ids,
    )


def _refuse_volumes(folder: Path) -> None:
    """Raise D241 if the folder holds volumes and no image."""
    files = [path for path in folder.iterdir() if path.name.lower().endswith(_VOLUMES)]
    if files and not list_images(folder).entries:
        raise DataError(
            "D241",
            f"{printable(min(files))}: is a volume; Pixelwise segments two-dimensional images, and this folder holds "
            f"{len(files)} volumes and no image",
            "write every slice as a PNG or TIFF file, or train nnU-Net itself on volumes",
        )


def _cases(root: Path, entries: Sequence[Entry]) -> list[Entry]:
    """One image per case: its only file, or the channels of several files as one file of the cache folder."""
    channels: dict[str, dict[str, Path]] = {}
    for entry in entries:
        match = _CHANNEL.fullmatch(entry.key)
        channels.setdefault(match[1] if match else entry.key, {})[match[2] if match else ""] = entry.path
    single = [Entry(case, next(iter(files.values()))) for case, files in channels.items() if len(files) == 1]
    several = {case: [files[number] for number in sorted(files)] for case, files in channels.items() if len(files) > 1}
    if not several:
        return single
    sources = [path for files in several.values() for path in files]
    name = "nnunet-" + re.sub("[^a-z]", "", next(iter(sources)).parent.name.lower())
    folder = cached_files(name, root, sources, partial(_join, several))
    return sorted([*single, *(Entry(case, folder / f"{case}.tif") for case in several)])


def _join(cases: Mapping[str, Sequence[Path]], folder: Path) -> None:
    """Write the channels of every case as the bands of one TIFF file.

    Raises:
        DataError: D242, a channel cannot be read, or the channels of a case differ in size or type.
    """
    for case, files in cases.items():
        bands = [_band(path) for path in files]
        kinds = {(band.shape, band.dtype.str) for band in bands}
        if len(kinds) > 1 or bands[0].ndim != 2:
            shapes = " and ".join(sorted(f"{'x'.join(map(str, shape))} {np.dtype(kind)}" for shape, kind in kinds))
            raise _no_channels(files[0], f"the channels of {printable(case)} are arrays of {shapes}; expected one size")
        path = folder / f"{case}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        stacked = np.stack(bands, axis=2)
        tifffile.imwrite(path, stacked, photometric="minisblack", planarconfig="contig", compression="zlib")


def _band(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        raise _no_channels(path, "is a NumPy array; expected an image of one channel")
    try:
        with reading(path):
            if path.suffix.lower() in (".tif", ".tiff"):
                stored = tifffile.imread(path)
                # One plane of several axes is still one band.
                return stored if stored.ndim < 3 else np.squeeze(stored, axis=0 if stored.shape[0] == 1 else -1)
            return np.asarray(decode(path, max_pixels=_MOST_PIXELS).image)
    except DocumentError as error:
        raise _no_channels(path, error.reason) from error


def _no_channels(path: Path, reason: str) -> DataError:
    help = "every channel of a case must be a file of one band, with the size and type of the others"
    return DataError("D242", f"{printable(path)}: {reason}", help)


def _labels(file: Path) -> _Labels:
    """The classes and the values of the masks, from `dataset.json`; nothing if there is no such file.

    Raises:
        DataError: D230, the file cannot be read or `labels` is neither of version 1 nor of version 2.
    """
    try:
        content = read_json(file, dict[str, Any])
        with reading(file):
            return _of_labels(file, content["labels"], content.get("regions_class_order") or [])
    except DocumentError as error:
        if error.missing:
            return _Labels(None, None, [])
        help = 'expected "labels": {"background": 0, "crack": 1}'
        raise DataError("D230", error.message, help) from error


def _of_labels(file: Path, labels: dict[str, Any], order: list[int]) -> _Labels:
    if labels and all(name.isdecimal() and isinstance(value, str) for name, value in labels.items()):
        labels = {value: int(name) for name, value in labels.items()}  # version 1
    regions = [name for name, value in labels.items() if isinstance(value, list) and len(value) > 1]
    values = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in labels.items()
    }
    ids = {value: name for name, value in values.items() if isinstance(value, int)}
    problems = []
    if regions:
        # Regions overlap. nnU-Net writes predictions as the values of `regions_class_order`, from outside to inside.
        named = [name for name, value in values.items() if value != 0 and name.lower() != _IGNORED]
        ids = {value: name for value, name in ids.items() if name.lower() == _IGNORED}
        ids |= {0: next((name for name, value in values.items() if value == 0), "background")}
        listed = {int(value) for name in named for value in np.atleast_1d(values[name]).tolist()}
        ids |= dict(zip(order, named, strict=False)) if len(order) == len(named) else {}
        ids |= {value: f"label {value}" for value in sorted(listed - ids.keys())}
        text = f"{printable(file)}: '{printable(regions[0])}' is a region of several values. The masks are read as "
        text += f"exclusive classes: {', '.join(f'{value} = {printable(name)}' for value, name in sorted(ids.items()))}"
        help = "give one mask per class (masks/CLASS/) to train overlapping regions"
        problems.append(finding("W246", text, [printable(file)], help))
    wrong = [value for value in ids if isinstance(value, bool) or not 0 <= value <= 65535]
    if not ids or wrong or len(values) < len(labels):
        raise ValueError(f"`labels` has the value {wrong[0]}" if wrong else "`labels` names no class")
    ordered = [value for value in sorted(ids) if ids[value].lower() != _IGNORED]
    table = {value: index for index, value in enumerate(ordered)}
    table |= {value: IGNORE for value in ids if value not in table}
    return _Labels(tuple(ids[value] for value in ordered), {IGNORE: IGNORE, **table}, problems)


def _folds(file: Path, samples: Sequence[Sample]) -> tuple[dict[str, tuple[Sample, ...]], list[Finding]]:
    """Train and val of the first fold, and what is not used; no splits if there is no such file.

    Raises:
        DataError: D230, the file cannot be read.
    """
    try:
        folds = read_json(file, list[_Fold])
    except DocumentError as error:
        if error.missing:
            return {}, []
        help = 'expected a list of folds: [{"train": ["a"], "val": ["b"]}]'
        raise DataError("D230", error.message, help) from error
    if not folds:
        return {}, [finding("D232", f"{printable(file)}: holds no fold", [printable(file)], "remove it, or add folds")]
    problems = []
    if len(folds) > 1:
        text = f"{printable(file)}: the first of {len(folds)} folds is used; the others are not"
        help = "for another fold, move it to the front of the list"
        problems.append(finding("W247", text, [printable(file)], help))
    of_id = {sample.id: sample for sample in samples}
    wanted = {"train": folds[0].train, "val": folds[0].val}
    wrong = []
    for split, names in wanted.items():
        lost = [name for name in names if name not in of_id]
        if lost:
            wrong.append(f"{len(lost)} cases of {split} have no image with a mask, e.g. '{printable(lost[0])}'")
    both = set(folds[0].train) & set(folds[0].val)
    if both:
        wrong.append(f"train and val share {len(both)} cases, e.g. '{printable(min(both))}'")
    if wrong:
        help = "correct the list, or remove the file to have the images divided by their names"
        problems.append(finding("D232", f"{printable(file)}: {'; '.join(wrong)}", [printable(file)], help))
    unused = [printable(of_id[name].image_path) for name in of_id.keys() - {*folds[0].train, *folds[0].val}]
    if unused:
        text = f"{printable(file)}: {len(unused)} images are in neither train nor val, and left out, e.g. {unused[0]}"
        problems.append(finding("W216", text, unused, "add them to the list, if they are needed"))
    splits = {
        split: tuple(of_id[name] for name in sorted(set(names) & of_id.keys())) for split, names in wanted.items()
    }
    return splits, problems


def _write(root: Path, scenes: Scenes) -> None:
    folds: dict[str, list[str]] = {}
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            case = f"{split}{number:04d}"
            folds.setdefault(split, []).append(case)
            write_image(root / "imagesTr" / f"{case}_0000.png", scene.image)
            labels = scene.labels.copy()
            labels[labels == IGNORE] = len(scenes.classes)  # nnU-Net wants consecutive values
            write_image(root / "labelsTr" / f"{case}.png", labels)
    values = {name: value for value, name in enumerate((*scenes.classes, _IGNORED))}
    channels = {str(number): name for number, name in enumerate("RGB")}
    total = sum(map(len, scenes.splits.values()))
    content = {"channel_names": channels, "labels": values, "numTraining": total, "file_ending": ".png"}
    write_text(root / _DESCRIPTION, json_text(content))
    write_text(root / _FOLDS, json_text([folds]))


register(
    Format(
        name="nnunet",
        title="nnU-Net",
        expected="imagesTr/CASE_0000.png with labelsTr/CASE.png, and dataset.json",
        layout=nnunet_layout,
        recognise=lambda root: {"imagestr", "labelstr"} <= subfolders(root).keys(),
        # Below `lists`, which may divide the cases otherwise.
        priority=MASKS + 2,
        miniature=Miniature(write=_write),
    )
)
