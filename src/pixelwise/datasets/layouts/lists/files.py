"""Finds the lists that divide a data set into splits, by their names and their content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.lists.lines import list_text
from pixelwise.datasets.layouts.lists.rows import Row, columns_of, is_prose, read_rows, read_split_file
from pixelwise.datasets.layouts.near_misses import is_foreign_table
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.errors import DataError
from pixelwise.storage import printable

_PLACES = (".", "lists", "splits", "ImageSets/Segmentation", "ImageSets/Main", "ImageSets")
_TABLES = (".csv", ".tsv")
_ENDINGS = (".txt", ".lst", ".list", *_TABLES)
_SPLIT_FILES = ("split.json", "splits.json", "dataset_split.json", "dataset_splits.json")
UNFINISHED_DIVISION = ".pixelwise-division.json"
"""Name of the file beside lists that are being written, with all of them, in case that their writer is killed."""
LIST_WORDS = frozenset(
    ("list", "lists", "lst", "split", "set", "files", "file", "names", "ids", "id", "images", "image", "imgs", "img")
)
"""Words around the split in the name of a list: train_list.txt, val_ids.txt, list_test.txt."""
_BOTH = "trainval"
# A table is judged by its first lines.
_HEAD = 5


class Lists(NamedTuple):
    """The lists of a data set.

    Attributes:
        of_split: Split -> its list; a single table of all splits counts as `train`.
        split_file: A JSON file with all splits.
    """

    of_split: dict[str, Path]
    split_file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return (self.split_file,) if self.split_file else tuple(self.of_split.values())

    @property
    def names(self) -> str:
        """The names of the files, for a description."""
        return ", ".join(sorted({printable(file.name) for file in self.files}))

    def read(self, problems: list[Finding]) -> dict[str, list[tuple[Path, Row]]]:
        """Split -> list and row of its lines; malformed lines become D228 in `problems`.

        Raises:
            DataError: D228, a list cannot be read.
        """
        if self.split_file is not None:
            found = read_split_file(self.split_file)
            return {split: [(self.split_file, row) for row in rows] for split, rows in found.items()}
        splits: dict[str, list[tuple[Path, Row]]] = {}
        for split, file in self.of_split.items():
            rows = read_rows(file, problems)
            if not any(row.split for row in rows):
                splits.setdefault(split, [])
            for row in rows:
                own = row.split or split
                splits.setdefault(SPLIT_NAMES.get(own.lower(), own), []).append((file, row))
        return splits


def find_lists(root: Path) -> Lists | None:
    """The lists of a data set; None if there are none.

    Raises:
        DataError: D232, there are lists for the other splits but none to train on, or two different ones for a split;
            D228, a list cannot be read.
    """
    without_train: dict[str, Path] = {}
    for place in _PLACES:
        folder = root / place
        try:
            # What is no regular file, such as a named pipe, is no reason to divide the images otherwise.
            names = sorted(path for path in folder.iterdir() if not path.is_dir())
        except OSError:
            continue
        files = [path for path in names if path.suffix.lower() in _ENDINGS and not is_foreign_table(path)]
        named = dict(_named(files))
        if "train" in named:
            return Lists({split: named[split] for split in ("train", "val", "test") if split in named})
        tables = [path for path in files if path.suffix.lower() in _TABLES and columns_of(path) is not None]
        if len(tables) == 1 and not named:
            return Lists({"train": tables[0]})
        split_file = next((path for path in names if path.name.lower() in _SPLIT_FILES), None)
        if split_file is not None:
            return Lists({}, split_file)
        without_train = without_train or {name: path for name, path in named.items() if not is_prose(path)}
    if without_train:
        raise _no_training_list(without_train)
    return None


def _no_training_list(named: dict[str, Path]) -> DataError:
    split, file = next(iter(named.items()))
    if (file.parent / UNFINISHED_DIVISION).is_file():
        return DataError(
            "D232",
            f"{printable(file.parent)}: its lists are being written by another process, or that was interrupted",
            "wait for it, or repeat `pixelwise data split`",
        )
    return DataError(
        "D232",
        f"{printable(file)}: lists the images of split '{split}', but there is no list for 'train'",
        f"write {file.with_stem('train').name} beside it, or remove the list if it does not divide these images; "
        "data.dataset=folder reads folders of images and masks without lists",
    )


def _named(files: list[Path]) -> Iterator[tuple[str, Path]]:
    """Split and list of the files that are named after a split."""
    exact: dict[str, list[Path]] = {}
    loose: dict[str, list[Path]] = {}
    for path in files:
        stem = path.stem.lower()
        if stem in (*SPLIT_NAMES, _BOTH):
            exact.setdefault(SPLIT_NAMES.get(stem, _BOTH), []).append(path)
        elif (split := _split_in(stem)) is not None:
            loose.setdefault(split, []).append(path)
    found = {split: _usable(split, paths) for split, paths in {**loose, **exact}.items()}
    both = found.pop(_BOTH, None)
    if both is not None and found.get("train") is None:
        found["train"] = both
    for split, path in found.items():
        if path is not None:
            yield split, path


def _split_in(stem: str) -> str | None:
    words = re.findall(r"[a-z0-9]+", stem)
    others = [word for word in words if word not in LIST_WORDS]
    return SPLIT_NAMES.get(others[0], _BOTH if others[0] == _BOTH else None) if len(others) == 1 else None


def _usable(split: str, paths: list[Path]) -> Path | None:
    """The list of a split; None if its files hold no lists.

    Raises:
        DataError: D232, two lists differ.
    """
    lists = [path for path in paths if _is_list(path)]
    if len({tuple(list_text(path).split()) for path in lists}) > 1:
        first, second = lists[:2]
        raise DataError(
            "D232",
            f"{printable(first)} and {printable(second)} are different lists of split '{split}'",
            "keep the right one",
        )
    return lists[0] if lists else None


def _is_list(path: Path) -> bool:
    if path.suffix.lower() in _TABLES:
        # A table of other things, such as outlines or scores, is no list.
        head = list_text(path).splitlines()[:_HEAD]
        separated = any(re.search(r"[,;\t]", line) for line in head)
        named = any(ending in line.lower() for line in head for ending in SUFFIXES)
        return named or not separated or columns_of(path) is not None
    # Text that is no list is recognised later: it names no file.
    return True
