"""A folder -> a `Dataset`: finds its files, resolves the classes, collects problems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.classes.tables import class_table, described_classes
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.format import FORMATS, Format, format_of
from pixelwise.datasets.formats.class_folders import not_class_folders, with_classes
from pixelwise.datasets.layouts.layout import Layout, trained_on
from pixelwise.datasets.recognition import find_layout
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable

GENERIC_RECIPE = "unet-resnet18"
"""Name of the recipe whose data section says how to read a folder when no recipe is named."""
_MISSING = ("D220", "D221", "D226")
"""Codes of findings about files that are not there."""


def open_dataset(data: Data, root: Path | None) -> Dataset:
    """Open the data set that `data` describes in the folder `root`.

    Only names are read here, except that a folder of own data which names no classes has its masks
    decoded once, and that outlines are drawn into the user's cache folder the first time. What
    is wrong with single files is collected in `Dataset.problems`; the audit decides what stops
    training. Of splits that share images (VOC's `train` and `train_aug`) only one is opened.

    Args:
        data: `data.dataset` names the format; `auto` takes the one that fits. `data.train_split`
            chooses between splits that share images, and joins splits.
        root: The folder; None for a format that is made where there is none, such as `town`.

    Raises:
        DataError: D222, no folder, or no data of that format in it; D224, a `dataset.toml` that is wrong;
            D227, COCO's annotations cannot be read; D228 and D230, lists or annotations cannot be read;
            D231, one mask per class is expected and not found.
        RecipeError: R203, no such format, or fields of `data` contradict each other or the data set.
    """
    format = None if data.dataset == "auto" else format_of(data.dataset)
    _refuse_multilabel(format, data)
    folder = _folder(format, data, root)
    layout = _with_command(_by_classes(find_layout(format, folder), data, folder))
    return _dataset(data, layout)


def open_folder(root: Path, overrides: Sequence[str] = ()) -> tuple[Data, Dataset]:
    """Open somebody's folder as recipes for own data do, and say how it was read.

    Args:
        root: Folder of the data set.
        overrides: Changes of the recipe, such as `data.dataset=coco`.

    Raises:
        DataError: What `open_dataset` raises.
        RecipeError: An override is wrong, or what `open_dataset` raises.
    """
    data = apply_overrides(find(GENERIC_RECIPE), overrides).data
    return data, open_dataset(data, root)


def settled(data: Data, dataset: Dataset) -> Data:
    """`data` with what opening found out filled in: classes, palette and the meaning of raw values.

    Opening the same folder with it gives the same tables without looking at the masks, even after
    masks were added.
    """
    table, classes = dataset.label_table, format_of(dataset.name).classes
    filled = msgspec.structs.replace(data, classes=dataset.classes, palette=dataset.palette)
    if dataset.multilabel:
        return msgspec.structs.replace(filled, multilabel=True)
    if dataset.label_names:
        # Raw values of drawn masks are numbered anew when annotations change; names stay.
        labels = {name: table.ids[raw] for raw, name in sorted(dataset.label_names.items()) if raw in table.ids}
        return msgspec.structs.replace(filled, labels=labels)
    untouched = data.label_map is None and data.colors is None
    if untouched and classes is not None and table.ids != {IGNORE: IGNORE, **classes.label_table}:
        return filled  # it comes as other files than usual (train ids, colours); its layout says what they mean
    return msgspec.structs.replace(
        filled,
        label_map={str(raw): class_id for raw, class_id in table.ids.items()} or None,
        colors=table.colors or None,
    )


def _refuse_multilabel(format: Format | None, data: Data) -> None:
    """Refuse one mask per class in a format that has no such masks."""
    if data.multilabel and format is not None and format.class_layout is None:
        known = [name for name, one in FORMATS.all().items() if one.class_layout is not None]
        raise RecipeError(
            "R203",
            f"data.multilabel is true but data.dataset is '{format.name}'; expected {', '.join(known)} or auto",
            "multi-label data is a folder of images and one folder of masks per class: masks/crack/0001.png",
        )


def _folder(format: Format | None, data: Data, root: Path | None) -> Path:
    """The folder to open, which exists.

    Raises:
        DataError: D222, it does not, or none is named.
    """
    if root is None and format is not None and format.generate is not None:
        return format.generate(data)
    command = format.prepare_command(root or Path("DIR")) if format is not None else None
    if root is None:
        get = f"; to get it: `{command}`" if command else ""
        raise DataError("D222", f"data set '{data.dataset}' needs a folder", f"name its folder with `data`{get}")
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        get = f", or get the data set: `{command}`" if command else ""
        raise DataError("D222", f"{printable(root)}: {state}", f"give the folder that holds images and masks{get}")
    return root


def _by_classes(layout: Layout, data: Data, root: Path) -> Layout:
    """The layout with one mask per class where that is asked for or found, else as it is.

    Raises:
        DataError: D231, it is asked for and not found, or the classes do not fit.
    """
    is_known = format_of(layout.name).classes is not None
    described, announced = (None, None) if is_known else described_classes(layout.root)
    if (data.multilabel or announced) and not layout.multilabel:
        tried = ((one.name, one.class_layout) for one in FORMATS.all().values() if one.class_layout is not None)
        found = ((name, by_class) for name, find in tried if (by_class := find(root)) is not None)
        name, by_class = next(found, ("", None))
        if by_class is None:
            raise not_class_folders(root)
        layout = msgspec.structs.replace(by_class, name=name)
    return with_classes(layout, data.classes or described) if layout.multilabel else layout


def _with_command(layout: Layout) -> Layout:
    """The layout, whose findings about missing files of a public data set name the command that brings them."""
    command = format_of(layout.name).prepare_command(layout.root)
    if command is None:
        return layout

    def named(problem: Finding) -> Finding:
        if problem.code not in _MISSING or not problem.fix:
            return problem
        return msgspec.structs.replace(problem, fix=f"{problem.fix}; `{command}` brings or names what is missing")

    return msgspec.structs.replace(
        layout,
        problems=tuple(named(problem) for problem in layout.problems),
        problems_of={split: tuple(named(one) for one in found) for split, found in layout.problems_of.items()},
    )


def _dataset(data: Data, whole: Layout) -> Dataset:
    layout = trained_on(whole, data.train_split)
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
