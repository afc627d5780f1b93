"""Custom images and masks, with or without a folder per split.

- `images/{train,val,test}/...` with `masks/{train,val,test}/...`
- `{train,val,test}/images/...` with `{train,val,test}/masks/...`
- `{train,val,test}/...` with `{train,val,test}_masks/...`, or `train_images/` with `train_masks/`
- `images/...` with `masks/...`: divided into train and val by `validation_keys`
- `images/...` with `masks/{train,val,test}/...`: the folder of its mask gives the split of an image
- `a.jpg` with `a_mask.png` in one folder, or in `{train,val,test}/` (Roboflow, whose `_classes.csv` is read)
- `a.jpg` with `a.png`: of two files that differ only in their extension, the JPEG is the image
- images and masks in folders of any depth: see `pixelwise.datasets.formats.scattered`
- `images/...` with `masks/{class}/...`, one mask per class: see `pixelwise.datasets.formats.class_folders`

Masks may be images or NumPy arrays (`.npy`) of integers, (H, W).

`images` may also be called `imgs`, `JPEGImages`, `original`, `input` and the like, and `masks` may be called `labels`,
`annotations`, `SegmentationClass`, `gt`, `ground_truth` and the like; where neither exists, folders whose names contain
such a word are used (`img_dir` with `ann_dir`; see `pixelwise.datasets.layouts.words`). Image and mask have the same
path below these folders, apart from the extension.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import MASKS, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.class_folders import class_folders_layout
from pixelwise.datasets.formats.scattered import scattered_layout
from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, list_images, subfolders
from pixelwise.datasets.layouts.lists.lines import list_lines
from pixelwise.datasets.layouts.matching import is_mask_name, match_files, match_folders
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import (
    IMAGE_WORDS,
    MASK_WORDS,
    SPLIT_NAMES,
    folders_by_words,
    split_folders,
    split_of,
)
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import whole_number

# The first folder that exists is used.
_IMAGE_FOLDERS = (
    "images", "image", "imgs", "img", "jpegimages", "original", "originals", *IMAGE_WORDS, "src", "source", "raw",
)  # fmt: skip
_MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass", "gt", "groundtruth",
    "ground_truth", "ground-truth", "ground truth", *MASK_WORDS,
)  # fmt: skip
_SPLIT_IMAGES = ("", "_images", "_image", "_imgs")
_SPLIT_MASKS = ("_masks", "_mask", "_labels", "_label", "annot", "_annotations", "_gt")
_CLASSES_FILE = "_classes.csv"
_LOSSY = (".jpg", ".jpeg")


def folder_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no folder of images beside one of masks.

    If no image has a mask otherwise, two or more folders below the masks whose files are named like the images are
    read as the classes of multi-label data.
    """
    layout = _layout(root)
    if layout is not None and any(layout.splits.values()):
        return layout
    if layout is None:
        return None
    by_class = multilabel_layout(root)
    if by_class is not None and len(by_class.classes or ()) > 1:
        return by_class
    return scattered_layout(root) or layout


def multilabel_layout(root: Path) -> Layout | None:
    """The layout of `root` with one folder of masks per class, or None if it has no such folders."""
    folders = subfolders(root)
    images, masks = _first(folders, _IMAGE_FOLDERS), _first(folders, _MASK_FOLDERS)
    if images and masks:
        splits = split_folders(images)
        places: dict[str | None, tuple[Path, Path]] = {name: (path, masks) for name, path in splits.items()}
        places = places or {None: (images, masks)}
        layout = class_folders_layout(root, places)
        return _with_strays(layout, images, list(splits.values())) if layout is not None and splits else layout
    places = {}
    for name, folder in split_folders(root).items():
        inner = subfolders(folder)
        images, masks = _first(inner, _IMAGE_FOLDERS), _first(inner, _MASK_FOLDERS)
        if images:
            places[name] = (images, masks or folder / "masks")
    return class_folders_layout(root, places) if places else None


def _layout(root: Path) -> Layout | None:
    folders = subfolders(root)
    images, masks = _first(folders, _IMAGE_FOLDERS), _first(folders, _MASK_FOLDERS)
    if images and masks:
        others = {folders[name] for name in _MASK_FOLDERS if name in folders} - {images, masks}
        return _beside_other_masks(_of_two_folders(root, images, masks), masks, sorted(others))
    pairs, others = {}, []
    for name, folder in split_folders(root).items():
        inner = subfolders(folder)
        images, masks = _first(inner, _IMAGE_FOLDERS), _first(inner, _MASK_FOLDERS)
        if images:
            pairs[name] = (images, masks or folder / "masks")
            others += sorted({inner[word] for word in _MASK_FOLDERS if word in inner} - set(pairs[name]))
    if any(masks.is_dir() for _, masks in pairs.values()):
        layout = _per_split(root, "{split}/images/ with {split}/masks/", pairs)
        used = {images.parent for images, _ in pairs.values()}
        strays = [entry for path in folders.values() if path not in used for entry in _images_with_masks(path)]
        layout = _leaving_out(
            layout, strays, "rename their folder to train, val or test, or move them into such a folder"
        )
        return _beside_other_masks(layout, next(iter(pairs.values()))[1], others)
    return _named_by_split(root, folders) or _side_by_side(root) or _named_with_words(root, folders)


def _of_two_folders(root: Path, images: Path, masks: Path) -> Layout:
    splits, mask_splits = split_folders(images), split_folders(masks)
    if splits:
        pairs = {name: (path, mask_splits.get(name, masks / path.name)) for name, path in splits.items()}
        layout = _per_split(root, f"{images.name}/{{split}}/ with {masks.name}/{{split}}/", pairs)
        return _with_strays(layout, images, list(splits.values()))
    by_masks = _divided_by_masks(root, images, masks, mask_splits) if mask_splits else None
    return by_masks or _divided(root, images, masks)


def _images_with_masks(folder: Path) -> Sequence[Entry]:
    """The images in a folder that holds a folder of images and one of masks."""
    inner = subfolders(folder)
    images = _first(inner, _IMAGE_FOLDERS)
    return list_images(images).entries if images and _first(inner, _MASK_FOLDERS) else ()


def _beside_other_masks(layout: Layout, masks: Path, others: Sequence[Path]) -> Layout:
    """The layout, with W227 if another folder holds images of the same names: its masks are not read."""
    if not others:
        return layout
    names = {sample.mask_path.stem for found in layout.splits.values() for sample in found if sample.mask_path}
    unread = [path for path in others if any(entry.path.stem in names for entry in list_images(path).entries)]
    called = dict.fromkeys(f"{printable(path.name)}/" for path in unread)
    if not unread:
        return layout
    said = finding(
        "W227",
        f"the folder also holds masks in {', '.join(called)}, which are not "
        f"read: the labels are those of {printable(masks.name)}/",
        [],
        f"no action is needed if they hold the same labels; to read the others instead, rename {masks.name}/",
    )
    return msgspec.structs.replace(layout, problems=(*layout.problems, said))


def _first(folders: dict[str, Path], names: Iterable[str]) -> Path | None:
    return next((folders[name] for name in names if name in folders), None)


def _named_by_split(root: Path, folders: dict[str, Path]) -> Layout | None:
    """Folders whose names contain the split: `train/` with `train_masks/`; a training folder alone is divided."""
    pairs: dict[str, tuple[Path, Path]] = {}
    for word, split in SPLIT_NAMES.items():
        images = _first(folders, [word + ending for ending in _SPLIT_IMAGES])
        masks = _first(folders, [word + ending for ending in _SPLIT_MASKS])
        if images is not None and masks is not None:
            pairs.setdefault(split, (images, masks))
    if not pairs:
        return None
    if list(pairs) == ["train"]:
        return _divided(root, *pairs["train"])
    images, masks = pairs["train"] if "train" in pairs else next(iter(pairs.values()))
    return _per_split(root, f"a folder per split: {images.name}/ with {masks.name}/, ...", pairs)


def _named_with_words(root: Path, folders: dict[str, Path]) -> Layout | None:
    """Folders whose names contain a word for images or masks; None if no image gets a mask that way."""
    pairs = folders_by_words(folders)
    if not pairs:
        return None
    images, masks = next(iter(pairs.values()))
    if list(pairs) in ([None], ["train"]):
        layout = _of_two_folders(root, images, masks)
    else:
        named = {split or "train": both for split, both in pairs.items()}
        layout = _per_split(root, f"a folder per split: {images.name}/ with {masks.name}/, ...", named)
    return layout if any(layout.splits.values()) else None


def _divided_by_masks(root: Path, images: Path, masks: Path, mask_splits: dict[str, Path]) -> Layout | None:
    """Masks in a folder per split, all images in one folder; None if no image gets a mask that way."""
    image_listing = list_images(images)
    listings = {split: list_images(folder) for split, folder in mask_splits.items()}
    masks_of = {entry.path: split for split, listing in listings.items() for entry in listing.entries}
    entries = [entry for listing in listings.values() for entry in listing.entries]
    samples, found = match_files(f"{images.name}/", image_listing.entries, entries, masks=masks / "SPLIT")
    if not samples:
        return None
    splits = {
        split: tuple(sample for sample in samples if sample.mask_path and masks_of[sample.mask_path] == split)
        for split in listings
    }
    problems = [problem for listing in (image_listing, *listings.values()) for problem in listing.problems]
    return Layout(
        name="folder",
        description=f"{images.name}/ with {masks.name}/{{split}}/",
        root=root,
        splits=in_order(splits),
        problems=(*problems, *found),
    )


def _side_by_side(root: Path) -> Layout | None:
    """Images and masks in the same folders, told apart by the masks' names or else by their extensions."""
    places = split_folders(root) or {"train": root}
    listings = {name: list_images(folder) for name, folder in places.items()}
    # Arrays beside images are masks; without any images, arrays are listed as images.
    both = {name: list_images(folder, arrays_too=True) for name, folder in places.items()}
    by_name = any(is_mask_name(entry.path.stem) for found in both.values() for entry in found.entries)
    if not by_name and not _same_names(entry for found in both.values() for entry in found.entries):
        return None
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, folder in places.items():
        is_mask = _has_mask_name if by_name else _is_lossless
        images = [entry for entry in listings[name].entries if not is_mask(entry)]
        masks = [entry for entry in both[name].entries if is_mask(entry)]
        splits[name], found = match_files(name, images, masks, masks=folder)
        problems += [*both[name].problems, *found]
    if not any(splits.values()):
        return None
    description = f"images and masks side by side, such as a.jpg with {'a_mask.png' if by_name else 'a.png'}"
    if places == {"train": root}:
        inner = _by_inner_folders(splits["train"])
        splits = inner or divided(splits["train"])
    names = _read_classes([f / _CLASSES_FILE for f in places.values() if (f / _CLASSES_FILE).is_file()])
    return Layout(
        name="folder",
        description=description,
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        classes=tuple(names.values()) or None,
        label_map={raw: class_id for class_id, raw in enumerate(names)} or None,
    )


def _by_inner_folders(samples: Sequence[Sample]) -> dict[str, tuple[Sample, ...]]:
    """The splits named by nested folders; empty unless every sample is in one and there are at least two."""
    named = [split_of(sample.id.split("/")[:-1]) for sample in samples]
    splits = {split for split in named if split is not None}
    if len(splits) < 2 or None in named:
        return {}
    return {split: tuple(s for s, own in zip(samples, named, strict=True) if own == split) for split in splits}


def _has_mask_name(entry: Entry) -> bool:
    return is_mask_name(entry.path.stem)


def _is_lossless(entry: Entry) -> bool:
    return entry.path.suffix.lower() not in _LOSSY


def _same_names(entries: Iterable[Entry]) -> bool:
    """Whether most JPEG files share their name with a file in a lossless format, which can hold class ids."""
    found = list(entries)
    lossy = {entry.path.with_suffix("") for entry in found if not _is_lossless(entry)}
    lossless = {entry.path.with_suffix("") for entry in found if _is_lossless(entry)}
    return 2 * len(lossy & lossless) > len(lossy)


def _read_classes(files: Sequence[Path]) -> dict[int, str]:
    """Raw value -> class name from Roboflow's `Pixel Value, Class` lines, sorted by value; empty without files.

    Raises:
        DataError: D233, a line names no value and class, two lines give a value different names, or no line names any.
    """
    names: dict[int, str] = {}
    for file in files:
        rows = [(number, *line.partition(",")[::2]) for number, line in list_lines(file) if line]
        for place, (number, raw, name) in enumerate(rows):
            raw, name = printable(raw.strip()), printable(name.strip())
            value = whole_number(raw)
            if value is not None and value >= 0 and name:
                if names.setdefault(value, name) != name:
                    raise _wrong_classes(file, f"line {number} calls {raw} '{name}', elsewhere it is '{names[value]}'")
            elif place:  # the first line may be a heading
                raise _wrong_classes(file, f"line {number} is '{raw},{name}'")
    if files and not names:
        raise _wrong_classes(files[0], "names no class")
    return dict(sorted(names.items()))


def _wrong_classes(file: Path, reason: str) -> DataError:
    return DataError(
        "D233",
        f"{printable(file)}: {reason}; expected a pixel value and a class, such as '1, road'",
        "correct the file, or remove it and name the classes in dataset.toml",
    )


def _per_split(root: Path, description: str, pairs: dict[str, tuple[Path, Path]]) -> Layout:
    splits: dict[str, tuple[Sample, ...]] = {}
    problems: list[Finding] = []
    for name, (images, masks) in sorted(pairs.items()):
        splits[name], findings = match_folders(name, images, masks)
        problems += findings
    return Layout(name="folder", description=description, root=root, splits=in_order(splits), problems=tuple(problems))


def _with_strays(layout: Layout, images: Path, split_folders: list[Path]) -> Layout:
    """Add a warning about images outside the folders of the splits."""
    strays = [
        entry
        for entry in list_images(images).entries
        if not any(entry.path.is_relative_to(folder) for folder in split_folders)
    ]
    return _leaving_out(layout, strays, f"move them into {images.name}/train, {images.name}/val or {images.name}/test")


def _leaving_out(layout: Layout, strays: Sequence[Entry], fix: str) -> Layout:
    """The layout, with W216 if images are left out."""
    if not strays:
        return layout
    files = [printable(entry.path) for entry in strays]
    text = f"{len(files)} images lie outside the folders of the splits and are left out, e.g. {files[0]}"
    return msgspec.structs.replace(layout, problems=(*layout.problems, finding("W216", text, files, fix)))


def _divided(root: Path, images: Path, masks: Path) -> Layout:
    samples, problems = match_folders("train", images, masks)
    return Layout(
        name="folder",
        description=f"{images.name}/ with {masks.name}/",
        root=root,
        splits=divided(samples),
        problems=tuple(problems),
    )


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            write_image(root / "images" / split / f"{number:04d}.png", scene.image)
            write_image(root / "masks" / split / f"{number:04d}.png", scenes.mask(scene))
    write_description(root, scenes.classes)


register(
    Format(
        name="folder",
        title="images and masks with the same names",
        expected="images/ (imgs/, JPEGImages/, original/, input/) with masks/ (labels/, annotations/, "
        "SegmentationClass/, gt/), train/ with train_masks/, or a.jpg with a_mask.png",
        layout=folder_layout,
        recognise=lambda root: True,
        priority=MASKS,
        class_layout=multilabel_layout,
        last_resort=scattered_layout,
        miniature=Miniature(write=_write),
    )
)
