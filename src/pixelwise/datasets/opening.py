"""Opens a folder as a `Dataset`: finds its files, resolves the classes, collects problems."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.classes.agreement import for_network, ids_decide, never_labelled
from pixelwise.datasets.classes.others import data_by_names, without_classes
from pixelwise.datasets.classes.renaming import renaming
from pixelwise.datasets.classes.tables import class_table, described_classes, stated
from pixelwise.datasets.columns import compact
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import FORMATS, Format, format_of
from pixelwise.datasets.formats.class_folders import not_class_folders, with_classes
from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.layouts.layout import Layout, trained_on
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.recognition import find_layout
from pixelwise.datasets.samples import Dataset, Reading, Unmade
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import Overrides, apply_overrides
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import address_of, place_of
from pixelwise.storage.stores.containers import names_containers

_MISSING = ("D220", "D221", "D226")
"""Codes of findings about missing files."""


def open_dataset(data: Data, root: str | os.PathLike[str] | None) -> Dataset:
    """Open the data set that `data` describes in the folder `root`.

    Only file names are read (of data in shards, their index), with two exceptions: the masks of a custom data set that
    names no classes are decoded once, and annotated shapes are drawn as masks into the user's cache folder the first
    time. Problems of single files are collected in `Dataset.problems`; the audit decides which of them stop training.
    Of splits that share images (VOC's `train` and `train_aug`), only one is opened.

    Args:
        data: `data.dataset` names the format; `auto` takes the first that fits. `data.train_split` chooses between
            splits that share images, and can join splits with `+`.
        root: Folder of the data set; None for a format that can generate data, such as `town`.

    Raises:
        DataError: D222, there is no folder, or no data of that format in it; D224, an invalid `dataset.toml`;
            D227, COCO's annotations cannot be read; D228 and D230, lists or annotations cannot be read;
            D231, one mask per class is expected but not found; D270, the index of shards is damaged.
        RecipeError: R203, there is no such format, or fields of `data` contradict each other or the data set.
    """
    return open_whole(data, root)[1]


def open_whole(data: Data, root: str | os.PathLike[str] | None) -> tuple[Layout, Dataset]:
    """Like `open_dataset`, together with the layout, which has all splits and the alternatives to them.

    Raises:
        As `open_dataset`.
    """
    format = None if data.dataset == "auto" else format_of(data.dataset)
    _refuse_multilabel(format, data)
    folder = _folder(format, data, None if root is None else place_of(root))
    whole = _prepared(find_layout(format, folder, _fields(data)), data, folder)
    return whole, _dataset(data, whole)


def open_by_names(data: Data, root: Path | None, classes: Sequence[str], naming: str | None = None) -> Dataset:
    """Open data for a network that exists: where the data names its classes, the names decide, not their ids.

    Data that says about its classes exactly what the network's own data said is read as `data` says. Other data is read
    by its own names and values, and put in the order of the network by `pixelwise.datasets.classes.agreement`. Data
    without names is read by the values in `data`.

    Args:
        data: The data section that the network was trained with.
        root: Folder of the data set; None for a format that can generate data.
        classes: Class names of the network, in the order of its outputs.
        naming: `Dataset.naming` of the network's own data; None if it is not recorded.

    Raises:
        CheckpointError: K406, the classes are others; K408, names in another order, but values that only the network's
            own data explains.
        DataError: Any that `open_dataset` raises.
        RecipeError: Any that `open_dataset` raises.
    """
    format = None if data.dataset == "auto" else format_of(data.dataset)
    _refuse_multilabel(format, data)
    folder = _folder(format, data, root)
    found = find_layout(format, folder, _fields(data))
    layout = _prepared(found, without_classes(data), folder)
    said = stated(layout)
    if said.naming and said.naming == naming:
        return _dataset(data, _prepared(found, data, folder))
    read = data_by_names(data, layout, said, tuple(classes))
    dataset = for_network(_dataset(read, layout), classes, data.palette)
    unlabelled = _without_labels(dataset, read) if layout.label_names and not layout.lists_classes else []
    if unlabelled:
        return msgspec.structs.replace(dataset, remarks=(*dataset.remarks, never_labelled(dataset, unlabelled)))
    if said.classes is None and not any(one.code == "W411" for one in dataset.remarks):
        remark = ids_decide(dataset, dataset.classes)
        return msgspec.structs.replace(dataset, remarks=(*dataset.remarks, remark))
    return dataset


def _fields(data: Data) -> Fields:
    return Fields(data.image_field, data.mask_field)


def _without_labels(dataset: Dataset, data: Data) -> list[str]:
    """Classes to which no label of the annotations belongs."""
    labelled = set(dataset.label_table.ids.values()) | {0 if "background" in (data.labels or {}) else -1}
    return [name for class_id, name in enumerate(dataset.classes) if class_id not in labelled]


def _prepared(found: Layout, data: Data, folder: Path) -> Layout:
    return _with_command(_by_classes(found, data, folder))


def open_folder(root: Path, overrides: Overrides = ()) -> tuple[Data, Dataset]:
    """Open a custom data set with the generic recipe; returns the recipe's data section and the data set.

    Args:
        root: Folder of the data set.
        overrides: Overrides of the recipe, such as `data.dataset=coco`.

    Raises:
        DataError: Any that `open_dataset` raises.
        RecipeError: An override is invalid, or any that `open_dataset` raises.
    """
    data = apply_overrides(find(DEFAULT_RECIPE), overrides).data
    return data, open_dataset(data, root)


def open_images(root: Path, reason: DataError, data: Data | None = None) -> Dataset:
    """Open a folder of images of which none has a mask: a data set of no pairs, with the classes of `dataset.toml`.

    Args:
        root: The folder.
        reason: Why it is no data set otherwise.
        data: How the images are read, and the classes if the folder names none; None: as the generic recipe says.

    Raises:
        DataError: D222, nothing names classes; D224, `dataset.toml` is invalid.
    """
    data = find(DEFAULT_RECIPE).data if data is None else data
    described, multilabel = described_classes(root)
    classes = described or data.classes
    if not classes:
        raise DataError(
            "D222",
            reason.message,
            "to label images that have no masks yet, name their classes in "
            f'{printable(root / DESCRIPTION_FILE)}: `classes = ["background", "crack"]`; {reason.help}',
        ) from reason
    missing = finding("W220", "no image has a mask yet", [], "draw masks, or write them with `pixelwise prelabel`")
    layout = Layout(
        name="folder",
        description="images without masks",
        root=root,
        splits={"train": ()},
        problems=(missing,),
        classes=classes if multilabel or data.multilabel else None,
        multilabel=bool(multilabel or data.multilabel),
    )
    return _dataset(data, layout)


def settled(data: Data, dataset: Dataset) -> Data:
    """`data`, completed with the classes, palette and label table that were found by opening the data set.

    Opening the same folder with the result gives the same tables without reading the masks, even after masks were
    added.
    """
    table, classes = dataset.label_table, format_of(dataset.name).classes
    filled = msgspec.structs.replace(data, classes=dataset.classes, palette=dataset.palette)
    if dataset.multilabel:
        return msgspec.structs.replace(filled, multilabel=True)
    if dataset.label_names:
        # The raw values of drawn masks may change with the annotations; the names stay.
        labels = {name: table.ids[raw] for raw, name in sorted(dataset.label_names.items()) if raw in table.ids}
        return msgspec.structs.replace(filled, labels=labels)
    untouched = data.label_map is None and data.colors is None
    if untouched and classes is not None and table.ids != {IGNORE: IGNORE, **classes.label_table}:
        return filled  # its files differ from the usual ones (train ids, colours); the layout gives their meaning
    return msgspec.structs.replace(
        filled,
        label_map={str(raw): class_id for raw, class_id in table.ids.items()} or None,
        colors=table.colors or None,
    )


def _refuse_multilabel(format: Format | None, data: Data) -> None:
    """Refuse `data.multilabel` for a format without masks per class."""
    if data.multilabel and format is not None and format.class_layout is None:
        known = [name for name, one in FORMATS.all().items() if one.class_layout is not None]
        raise RecipeError(
            "R203",
            f"data.multilabel is true but data.dataset is '{format.name}'; expected {', '.join(known)} or auto",
            "multi-label data is a folder of images and one folder of masks per class: masks/crack/0001.png",
        )


def _folder(format: Format | None, data: Data, root: Path | None) -> Path:
    """The existing folder to open, which is generated if none is given and the format can do that."""
    if root is None and format is not None and format.generate is not None:
        return format.generate(data)
    return _existing(format, data, root)


def require_folder(data: Data, root: Path | None) -> None:
    """Refuse a data set whose folder is not there; nothing is read and nothing generated.

    Raises:
        DataError: D222, the folder does not exist, or none is given.
        RecipeError: R203, there is no format of the name `data.dataset`.
    """
    format = None if data.dataset == "auto" else format_of(data.dataset)
    if root is not None or format is None or format.generate is None:
        _existing(format, data, root)


def _existing(format: Format | None, data: Data, root: Path | None) -> Path:
    command = format.prepare_command(root or Path("DIR")) if format is not None else None
    if root is None:
        get = f"; to get it: `{command}`" if command else ""
        raise DataError("D222", f"data set '{data.dataset}' needs a folder", f"give its folder as `data`{get}")
    if address_of(root) is None and not root.is_dir() and not names_containers(root):
        state = "is not a folder" if root.exists() else "does not exist"
        get = f", or get the data set: `{command}`" if command else ""
        raise DataError("D222", f"{printable(root)}: {state}", f"give the folder that holds images and masks{get}")
    return root


def _by_classes(layout: Layout, data: Data, root: Path) -> Layout:
    """The layout with one mask per class if that is requested or found, otherwise unchanged.

    Raises:
        DataError: D231, masks per class are requested but not found, or the classes do not fit.
    """
    is_known = format_of(layout.name).classes is not None
    described, announced = (None, None) if is_known else described_classes(layout.description_folder)
    if (data.multilabel or announced) and not layout.multilabel:
        tried = ((one.name, one.class_layout) for one in FORMATS.all().values() if one.class_layout is not None)
        found = ((name, by_class) for name, find in tried if (by_class := find(root)) is not None)
        name, by_class = next(found, ("", None))
        if by_class is None:
            raise not_class_folders(root)
        layout = msgspec.structs.replace(by_class, name=name)
    return with_classes(layout, data.classes or described) if layout.multilabel else layout


def _with_command(layout: Layout) -> Layout:
    """The layout, with the command that gets the files added to findings about missing files of a public data set."""
    command = format_of(layout.name).prepare_command(layout.root)
    if command is None:
        return layout

    def named(problem: Finding) -> Finding:
        if problem.code not in _MISSING or not problem.fix:
            return problem
        return msgspec.structs.replace(problem, fix=f"{problem.fix}; `{command}` gets or lists the missing files")

    return msgspec.structs.replace(
        layout,
        problems=tuple(named(problem) for problem in layout.problems),
        problems_of={split: tuple(named(one) for one in found) for split, found in layout.problems_of.items()},
    )


def _dataset(data: Data, whole: Layout) -> Dataset:
    layout, said = trained_on(whole, data.train_split), stated(whole)
    remarks = renaming(data, layout, said.classes)
    table, splits = class_table(data, layout), layout.splits
    return Dataset(
        name=layout.name,
        root=layout.root,
        classes=table.classes,
        palette=table.palette,
        label_table=table.label_table,
        splits={name: samples if isinstance(samples, Unmade) else compact(samples) for name, samples in splits.items()},
        reading=Reading.of(data),
        layout=whole.in_words if layout.splits == whole.splits else layout.description,
        problems=(*layout.problems, *table.problems),
        label_names=layout.label_names,
        multilabel=layout.multilabel,
        named=table.named,
        naming=said.naming,
        remarks=remarks,
        divided=isinstance(whole.splits, Divided),
        other_splits={
            name: len(whole.splits[name])
            for name in whole.overlapping
            if whole.splits.get(name) and name not in layout.splits
        },
    )
