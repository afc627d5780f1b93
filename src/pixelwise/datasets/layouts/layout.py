"""Layouts: the samples of each split, and the problems noticed while listing them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pixelwise.datasets.columns import compact
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.samples import Sample
from pixelwise.recipes.class_sets.tables import Color


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a data set, before their classes are known.

    Attributes:
        name: Name of the format, as in `data.dataset`; never `auto`.
        description: The layout in words, for the audit's report.
        root: Folder of the data set.
        splits: Samples by split, sorted by id.
        problems: Findings about all splits.
        problems_of: Split -> findings about that split alone, which only matter if it is opened; includes splits that
            are missing in this copy.
        overlapping: Splits that share images, as alternatives for training; only one of them is opened.
        divisions: Other divisions of the same images: training split -> all splits of that division.
        classes: Class names from the layout's own files, in their order.
        palette: Colours from the layout's own files, one per class.
        label_map: Raw value -> class id or 255, if it differs from what the data set's name implies; empty: the masks
            are read by `colors` alone.
        colors: `#rrggbb` -> class id or 255, if it differs from what the data set's name implies.
        multilabel: Whether there is one mask per class: `Sample.class_masks`, in the order of `classes`.
        lists_classes: Whether the layout's own files list all classes, also those without an annotation.
        described_in: Folder of `dataset.toml`, if it is not `root`.
        label_names: Raw value -> label, for masks drawn from annotations; 0 is `background`, the pixels that no
            annotation covers.
    """

    name: str
    description: str
    root: Path
    splits: dict[str, tuple[Sample, ...]]
    problems: tuple[Finding, ...] = ()
    problems_of: dict[str, tuple[Finding, ...]] = {}
    overlapping: tuple[str, ...] = ()
    divisions: dict[str, dict[str, tuple[Sample, ...]]] = {}
    classes: tuple[str, ...] | None = None
    palette: tuple[Color, ...] | None = None
    label_map: dict[int, int] | None = None
    colors: dict[str, int] | None = None
    label_names: dict[int, str] = {}
    multilabel: bool = False
    lists_classes: bool = True
    described_in: Path | None = None

    @property
    def description_folder(self) -> Path:
        """Folder in which `dataset.toml` is, if there is one."""
        return self.described_in or self.root

    @property
    def in_words(self) -> str:
        """The description, and how the data was divided if it has no splits of its own."""
        if isinstance(self.splits, Divided):
            return f"{self.description}, divided into {self.splits.in_words}"
        return self.description


def in_order(splits: dict[str, tuple[Sample, ...]]) -> dict[str, tuple[Sample, ...]]:
    """The splits in the order train, val, test, then all others by name."""
    known = list(dict.fromkeys(SPLIT_NAMES.values()))
    order = sorted(splits, key=lambda name: (known.index(name) if name in known else len(known), name))
    # The type says whether the data was divided here; see `pixelwise.datasets.layouts.splits.Divided`.
    return type(splits)((name, splits[name]) for name in order)


def all_match(names: Iterable[str], pattern: re.Pattern[str]) -> bool:
    """Whether there are any names, and the last part of each fully matches `pattern`."""
    last = [name.rpartition("/")[2] for name in names]
    return bool(last) and all(pattern.fullmatch(name) for name in last)


def trained_on(layout: Layout, train_split: str) -> Layout:
    """The layout for training on one split, without the alternatives to it.

    If `train_split` is not among the alternatives, the first one that exists is kept. Split names joined by `+` are
    merged into one split and no longer exist separately.
    """
    if train_split in layout.divisions:
        layout = msgspec.structs.replace(layout, splits=layout.divisions[train_split])
    parts = tuple(dict.fromkeys(train_split.split("+")))
    if len(parts) > 1:
        layout = _joined(layout, train_split, parts)
    existing = [name for name in layout.overlapping if name in layout.splits]
    kept = train_split if train_split in existing else next(iter(existing), None)
    splits = {name: samples for name, samples in layout.splits.items() if name not in existing or name == kept}
    # Scores need val, whatever the training split is.
    concerned = dict.fromkeys((*splits, *parts, "val"))
    problems = (
        msgspec.structs.replace(found, split=name) for name in concerned for found in layout.problems_of.get(name, ())
    )
    return msgspec.structs.replace(
        layout, splits=splits, problems=(*layout.problems, *problems), problems_of={}, overlapping=(), divisions={}
    )


def _joined(layout: Layout, name: str, parts: tuple[str, ...]) -> Layout:
    """The layout with `parts` merged into one split; unchanged if one of them does not exist."""
    if not all(part in layout.splits for part in parts):
        return layout
    # Ids are unique within a split only.
    samples = [
        msgspec.structs.replace(sample, id=f"{part}/{sample.id}") for part in parts for sample in layout.splits[part]
    ]
    alike = layout.overlapping if set(parts) & set(layout.overlapping) else ()
    others = {split: found for split, found in layout.splits.items() if split not in (*parts, *alike)}
    joined = compact(sorted(samples, key=lambda sample: sample.id))
    return msgspec.structs.replace(layout, splits={name: joined, **others})
