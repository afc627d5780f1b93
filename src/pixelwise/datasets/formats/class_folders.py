"""Multi-label data: images, and one folder of black-and-white masks per class.

- `images/[{train,val,test}/]0001.jpg` with `masks/crack/[{train,val,test}/]0001.png`
- `images/{train,val,test}/0001.jpg` with `masks/{train,val,test}/crack/0001.png`
- `{train,val,test}/images/0001.jpg` with `{train,val,test}/masks/crack/0001.png`

A pixel belongs to every class whose mask is not black there. An image without a file in the folder of a class does
not contain that class; the masks in `masks/ignore/` mark ignored pixels. Classes are ordered by name, unless
`dataset.toml` or `data.classes` gives another order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, Listing, list_images
from pixelwise.datasets.layouts.matching import match_classes
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import MOST_LABELS
from pixelwise.storage import printable
from pixelwise.suggestions import did_you_mean

IGNORE_FOLDER = "ignore"
"""Name of the folder, beside those of the classes, whose masks mark ignored pixels."""
_Split = str | None
_ByClass = dict[_Split, dict[str, list[Entry]]]


def class_folders_layout(root: Path, places: Mapping[_Split, tuple[Path, Path]]) -> Layout | None:
    """The layout with one folder of masks per class, or None if no image has a mask in such a folder.

    Args:
        root: Folder of the data set.
        places: Split -> its folders of images and of masks. The key is None for data without splits; several splits
            may share a folder of masks.
    """
    listings = {split: list_images(images) for split, (images, _) in places.items()}
    mask_folders = {masks: list_images(masks) for _, masks in places.values() if masks.is_dir()}
    masks: _ByClass = {split: {} for split in places}
    strays: list[Path] = []
    for folder, listing in mask_folders.items():
        splits = [split for split, (_, masks_of_split) in places.items() if masks_of_split == folder]
        strays += _sort(listing, {split: {entry.key for entry in listings[split].entries} for split in splits}, masks)
    if not any(_matches(listings[split], masks[split]) for split in places):
        return None
    classes = tuple(sorted({name for by_class in masks.values() for name in by_class} - {IGNORE_FOLDER}))
    problems: list[Finding] = [problem for listing in (*listings.values(), *mask_folders.values())
                               for problem in listing.problems]  # fmt: skip
    if strays:
        files = [printable(path) for path in strays]
        text = f"{len(files)} masks lie outside the folders of the classes and are left out, e.g. {files[0]}"
        problems.append(finding("W223", text, files, "move each into the folder of its class"))
    samples: dict[str, tuple[Sample, ...]] = {}
    for split, (_, folder) in places.items():
        name = split or "train"
        samples[name], found = match_classes(
            name, listings[split].entries, masks[split], classes, ignore=IGNORE_FOLDER, masks=folder / "CLASS"
        )
        problems += found
    first_images, first_masks = next(iter(places.values()))
    names = f"{_below(first_images, root)} with one folder of masks per class in {_below(first_masks, root)}"
    whole = set(places) == {None}
    return Layout(
        name="folder",
        description=f"{names} (multi-label)",
        root=root,
        splits=divided(samples["train"]) if whole else in_order(samples),
        problems=tuple(problems),
        classes=classes,
        multilabel=True,
    )


def with_classes(layout: Layout, names: Sequence[str] | None) -> Layout:
    """The layout with the classes `names` in that order; unchanged if `names` is None.

    Raises:
        DataError: D231, a folder of masks is not among the classes, or there are more classes than a label can hold.
    """
    own = layout.classes or ()
    names = own if names is None else tuple(names)
    unknown = [name for name in own if name not in names]
    if unknown:
        raise DataError(
            "D231",
            f"{printable(layout.root)}: the folder of masks '{unknown[0]}' is not one of the classes"
            f"{did_you_mean(unknown[0], names)}; classes: {', '.join(names)}",
            "list every folder of masks in `classes` of dataset.toml or in data.classes, or move it elsewhere",
        )
    if len(names) > MOST_LABELS:
        raise DataError(
            "D231",
            f"{printable(layout.root)}: {len(names)} folders of masks; multi-label data can have at most {MOST_LABELS} "
            "classes",
            "leave out the rarest classes, or train two networks",
        )
    places = {name: index for index, name in enumerate(own)}
    splits = {
        split: tuple(
            msgspec.structs.replace(
                sample,
                class_masks=tuple(sample.class_masks[places[name]] if name in places else None for name in names),
            )
            for sample in samples
        )
        for split, samples in layout.splits.items()
    }
    return msgspec.structs.replace(layout, classes=tuple(names), splits=type(layout.splits)(splits))


def not_class_folders(root: Path) -> DataError:
    """D231 for `multilabel = true` (`data.multilabel` or `dataset.toml`) if no image has a mask in a class's folder."""
    return DataError(
        "D231",
        f"{printable(root)}: `multilabel` is true, but no image has a mask in the folder of a class",
        "expected images/0001.jpg with masks/crack/0001.png, masks/rust/0001.png, ...: one folder of black-and-white "
        "masks per class; or leave out `multilabel`",
    )


def _sort(listing: Listing, images: Mapping[_Split, set[str]], masks: _ByClass) -> list[Path]:
    """Sort the masks of one folder into `masks`; `images` holds the image names of every split that shares it.

    Returns:
        The masks that lie in no folder of a class.
    """
    strays = []
    for entry in listing.entries:
        parts = list(PurePosixPath(entry.key).parts)
        split, known = next(iter(images)), False
        # The path may name the split before or after the class.
        for place in range(min(2, len(parts) - 1)):
            named = SPLIT_NAMES.get(parts[place].lower())
            if named is not None and named in images:
                split, known = named, True
                del parts[place]
                break
        if len(parts) < 2:
            strays.append(entry.path)
            continue
        name, key = parts[0], "/".join(parts[1:])
        if not known:
            # If only the images are divided into splits, a mask goes to the split of its image. A mask whose image
            # exists in several splits is matched to none of them.
            owners = [owner for owner, keys in images.items() if key in keys]
            split, key = (owners[0], key) if len(owners) == 1 else (split, key if not owners else entry.key)
        masks[split].setdefault(name, []).append(Entry(key, entry.path))
    return strays


def _matches(images: Listing, by_class: Mapping[str, Sequence[Entry]]) -> bool:
    """Whether any image has a mask of the same name in the folder of a class."""
    keys = {entry.key for entry in images.entries}
    return any(entry.key in keys for name, entries in by_class.items() if name != IGNORE_FOLDER for entry in entries)


def _below(folder: Path, root: Path) -> str:
    return f"{printable(folder.relative_to(root).as_posix())}/"
