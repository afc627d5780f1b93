"""A folder -> a `Dataset`: recognises the layout, resolves the classes, collects problems."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.classes.tables import class_table, described_classes
from pixelwise.datasets.formats import (
    ade20k,
    camvid,
    cityscapes,
    cocostuff,
    cvat,
    folder,
    label_studio,
    labelme,
    lists,
    voc,
    yolo,
)
from pixelwise.datasets.formats import coco as coco_own
from pixelwise.datasets.formats import coco2017 as coco
from pixelwise.datasets.formats.class_folders import not_class_folders, with_classes
from pixelwise.datasets.formats.scattered import scattered_layout
from pixelwise.datasets.layouts.layout import DESCRIPTION_FILE, Layout, trained_on
from pixelwise.datasets.layouts.listing import list_images, subfolders
from pixelwise.datasets.preparing.commands import prepare_command, with_command
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.errors import DataError
from pixelwise.recipes.classes.tables import CLASS_SETS, IGNORE
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import printable

LAYOUTS: dict[str, tuple[Callable[[Path], Layout | None], str]] = {
    "camvid": (camvid.camvid_layout, camvid.LOOKED_FOR),
    "cityscapes": (cityscapes.cityscapes_layout, cityscapes.LOOKED_FOR),
    "voc-aug": (voc.voc_layout, voc.LOOKED_FOR),
    "ade20k": (ade20k.ade20k_layout, ade20k.LOOKED_FOR),
    "ade20k32": (ade20k.ade20k32_layout, ade20k.LOOKED_FOR),
    "cocoseg21": (coco.coco_layout, coco.LOOKED_FOR),
    "cocoseg21-edgeai": (coco.coco_edgeai_layout, coco.LOOKED_FOR),
    "cocostuff171": (cocostuff.cocostuff_layout, cocostuff.LOOKED_FOR),
    "camvid32": (camvid.camvid32_layout, camvid.LOOKED_FOR),
    "lists": (lists.lists_layout, lists.LOOKED_FOR),
    "cvat-masks": (cvat.cvat_masks_layout, cvat.MASKS_LOOKED_FOR),
    "cvat": (cvat.cvat_layout, cvat.LOOKED_FOR),
    "yolo": (yolo.yolo_layout, yolo.LOOKED_FOR),
    "coco": (coco_own.coco_own_layout, coco_own.LOOKED_FOR),
    "label-studio": (label_studio.label_studio_layout, label_studio.LOOKED_FOR),
    "labelme": (labelme.labelme_layout, labelme.LOOKED_FOR),
    "folder": (folder.folder_layout, folder.LOOKED_FOR),
}
DRAWN = ("cocoseg21", "cocoseg21-edgeai", "coco", "yolo", "cvat", "label-studio", "labelme")
"""Layouts whose masks are drawn into the cache folder as they are opened; damaged annotations may be a DataError."""
# Own data, in the order in which `auto` tries; masks as images come before annotations.
_OWN_DATA = ("lists", "cvat-masks", "folder", "cvat", "yolo", "label-studio", "coco", "labelme")


_EXPECTED = (
    "expected images/ and masks/ whose files have the same names, with or without folders train/ and val/; or "
    "annotations of LabelMe, COCO, YOLO, CVAT or Label Studio; or train.txt and val.txt with `IMAGE MASK` per line, "
    "for files anywhere. docs/errors.md shows every layout under D222"
)
# Of an archive that unpacked to a folder in a folder; and a folder per image is no data set each.
_MAX_DEPTH = 3
_MAX_FOLDERS = 16


def open_dataset(data: Data, root: Path | None) -> Dataset:
    """Open the data set that `data` describes in the folder `root`.

    Only names are read here, except that a folder of own data which names no classes has its masks
    decoded once, and that masks of COCO are drawn into the user's cache folder the first time. What
    is wrong with single files is collected in `Dataset.problems`; the audit decides what stops
    training. Of splits that share images (VOC's `train` and `train_aug`) only one is opened.

    Args:
        data: `data.dataset` names the layout; `auto` takes the one that fits. `data.train_split`
            chooses between splits that share images, and joins splits.
        root: The folder; None only for `town`, which is then drawn into the user's cache folder.

    Raises:
        DataError: D222, no folder, or none of the layouts; D224, a `dataset.toml` that is wrong;
            D227, COCO's annotations cannot be read; D228 and D230, lists or annotations cannot be read.
        RecipeError: R203, fields of `data` contradict each other or the data set.
    """
    if data.dataset == "town":
        # OpenCV's drawing is needed for this data set only.
        from pixelwise.datasets.formats.town import town_layout

        layout = town_layout(data, root)
    else:
        if root is None:
            command = prepare_command(data.dataset, Path("DIR"))
            get = f"; to get it: `{command}`" if command else ""
            raise DataError("D222", f"data set '{data.dataset}' needs a folder", f"say where it is: --data PATH{get}")
        if not root.is_dir():
            state = "is not a folder" if root.exists() else "does not exist"
            command = prepare_command(data.dataset, root)
            get = f", or get the data set: `{command}`" if command else ""
            raise DataError("D222", f"{printable(root)}: {state}", f"give the folder that holds images and masks{get}")
        below: list[Layout] = []
        find = _recognise if data.dataset == "auto" else LAYOUTS[data.dataset][0]
        layout = find(root)
        if layout is None:
            below = _layouts_below(root, find)
            if len(below) == 1:
                layout = _of_inner_folder(below[0], root)
            elif not below and data.dataset in ("auto", "folder"):
                # Not before: data sets side by side are not one.
                layout = scattered_layout(root)
        if layout is None:
            raise _not_recognised(data.dataset, root, below)
        layout = with_command(_by_classes(layout, data, root))
    whole, layout = layout, trained_on(layout, data.train_split)
    table = class_table(data, layout)
    return Dataset(
        name=layout.name,
        root=layout.root,
        classes=table.classes,
        palette=table.palette,
        label_table=table.label_table,
        splits=layout.splits,
        reading=Reading.of(data),
        layout=layout.description,
        problems=(*layout.problems, *table.problems),
        label_names=layout.label_names,
        multilabel=layout.multilabel,
        other_splits={
            name: len(whole.splits[name])
            for name in whole.overlapping
            if whole.splits.get(name) and name not in layout.splits
        },
    )


def _by_classes(layout: Layout, data: Data, root: Path) -> Layout:
    """The layout with one mask per class where that is asked for or found, else as it is.

    Raises:
        DataError: D231, it is asked for and not found, or the classes do not fit.
    """
    described, announced = (None, None) if layout.name in CLASS_SETS else described_classes(layout.root)
    if data.multilabel or announced:
        found = layout if layout.multilabel else folder.multilabel_layout(root)
        if found is None:
            raise not_class_folders(root)
        layout = found
    return with_classes(layout, data.classes or described) if layout.multilabel else layout


def settled(data: Data, dataset: Dataset) -> Data:
    """`data` with what opening found out filled in: classes, palette and the meaning of raw values.

    Opening the same folder with it gives the same tables without looking at the masks, even after
    masks were added.
    """
    table = dataset.label_table
    filled = msgspec.structs.replace(data, classes=dataset.classes, palette=dataset.palette)
    if dataset.multilabel:
        return msgspec.structs.replace(filled, multilabel=True)
    if dataset.label_names:
        # Raw values of drawn masks are numbered anew when annotations change; names stay.
        labels = {name: table.ids[raw] for raw, name in sorted(dataset.label_names.items()) if raw in table.ids}
        return msgspec.structs.replace(filled, labels=labels)
    if dataset.name in CLASS_SETS and data.label_map is None and data.colors is None and _in_another_form(dataset):
        return filled
    return msgspec.structs.replace(
        filled,
        label_map={str(raw): class_id for raw, class_id in table.ids.items()} or None,
        colors=table.colors or None,
    )


def _in_another_form(dataset: Dataset) -> bool:
    """Whether a known data set comes as other files than usual (train ids, colours); its layout says what they mean."""
    usual = CLASS_SETS[dataset.name].label_table
    return dataset.label_table.ids != {IGNORE: IGNORE, **usual}


def _recognise(root: Path) -> Layout | None:
    layout = cityscapes.cityscapes_layout(root)
    if layout is not None:
        return layout
    if (root / DESCRIPTION_FILE).is_file():
        return _own_data(root)
    # CamVid frames without its splits, such as a few of them copied elsewhere, are own data.
    if camvid.looks_like_camvid(root) and (layout := camvid.camvid_layout(root)) is not None:
        return layout
    # Own data is often laid out like VOC and ADE20K: the names of the files decide.
    if (layout := voc.voc_layout(root)) is not None and voc.looks_like_voc(layout):
        return layout
    if (layout := ade20k.ade20k_layout(root)) is not None and ade20k.looks_like_ade20k(layout):
        return layout
    if cocostuff.looks_like_cocostuff(root):
        return cocostuff.cocostuff_layout(root)
    if coco.looks_like_coco(root):
        try:
            return coco.coco_layout(root)
        except coco.OtherCategoriesError:
            return coco_own.coco_own_layout(root)
    return _own_data(root)


def _own_data(root: Path) -> Layout | None:
    first = None
    for name in _OWN_DATA:
        layout = LAYOUTS[name][0](root)
        if layout is not None and any(layout.splits.values()):
            return layout
        # Folders without a single pair are that layout only if they are no other.
        first = first or layout
    return first


def _layouts_below(root: Path, find: Callable[[Path], Layout | None]) -> list[Layout]:
    """The data sets in the folders of `root`: archives often unpack to a folder of their own, or to one in one."""
    for _ in range(_MAX_DEPTH):
        folders = list(subfolders(root).values())
        found = []
        for inner in folders[:_MAX_FOLDERS]:
            with contextlib.suppress(DataError):  # what is damaged is said to those who name that folder
                layout = find(inner)
                if layout is not None and any(layout.splits.values()):
                    found.append(layout)
        if found or len(folders) != 1:
            return found
        root = folders[0]
    return []


def _of_inner_folder(layout: Layout, root: Path) -> Layout:
    """The layout of a folder below `root`, which says so; a description in `root` itself counts."""
    described = (root / DESCRIPTION_FILE).is_file()
    return msgspec.structs.replace(
        layout,
        root=root if described else layout.root,
        description=f"in {printable(layout.root.relative_to(root))}/: {layout.description}",
    )


def _not_recognised(name: str, root: Path, below: Sequence[Layout]) -> DataError:
    if below:
        folders = [shlex.quote(printable(layout.root)) for layout in below]
        return DataError(
            "D222",
            f"{printable(root)}: holds {len(folders)} data sets: {', '.join(folders[:8])}"
            + (", ..." if len(folders) > 8 else ""),
            f"name one of them, for example {folders[0]}",
        )
    try:
        entries = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir())
    except OSError as error:
        entries = [error.strerror or str(error)]
    found = ", ".join(printable(entry) for entry in entries[:8]) + (", ..." if len(entries) > 8 else "")
    files = len(list_images(root).entries)
    among = f" among {files} image files" if files else ""
    command = prepare_command(name, root)
    help = f"looked for {LAYOUTS[name][1]}" if name != "auto" else _EXPECTED
    return DataError(
        "D222",
        f"{printable(root)}: no images with masks found{among}; it holds: {found or 'nothing'}",
        help + (f"; `{command}` brings or names what is missing" if command else ""),
    )
