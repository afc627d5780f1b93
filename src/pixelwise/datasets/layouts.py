"""What every layout of folders comes down to: samples per split, and what was noticed on the way."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.listing import subfolders
from pixelwise.datasets.samples import Sample

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names (lower case) that are splits."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a data set, before their classes are known.

    Attributes:
        name: `camvid`, `cityscapes`, `folder` or `town`.
        description: The layout in words, for the audit's report.
        root: The folder everything lies in.
        splits: Samples by split, sorted by id.
        problems: What was noticed.
    """

    name: str
    description: str
    root: Path
    splits: dict[str, tuple[Sample, ...]]
    problems: tuple[Finding, ...] = ()


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of splits directly below `folder`: `train`, `val` or `test` -> path."""
    return {SPLIT_NAMES[name]: path for name, path in subfolders(folder).items() if name in SPLIT_NAMES}


def in_order(splits: dict[str, tuple[Sample, ...]]) -> dict[str, tuple[Sample, ...]]:
    """The splits as train, val, test, then others by name."""
    known = list(dict.fromkeys(SPLIT_NAMES.values()))
    return {
        name: splits[name] for name in sorted(splits, key=lambda n: (known.index(n) if n in known else len(known), n))
    }
