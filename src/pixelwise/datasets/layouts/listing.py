"""Lists the image files below a folder; no entry can make it hang, loop or stop."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

from pixelwise.datasets.columns import Files, Texts
from pixelwise.datasets.findings import Finding, finding, finding_of
from pixelwise.datasets.reading.bands import ARRAY_SUFFIX
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.reading.files import unreadable
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.storage import printable
from pixelwise.storage.documents import kind_of_entry

_HERE = Path()
"""The current folder, of which paths below it say nothing."""
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "icon\r", "lost+found"}
# Lists, readmes and annotations of other tools often lie next to images and are ignored.
_COMPANIONS = {".txt", ".json", ".xml", ".md", ".csv", ".toml", ".yaml", ".yml", ".mat", ".html", ".pdf"}


class Entry(NamedTuple):
    """An image file, as judged by its name.

    Attributes:
        key: Path below the listed folder without the extension, NFC-normalised and printable.
        path: Path of the image file.
    """

    key: str
    path: Path


class Entries(Sequence[Entry]):
    """Entries by columns, each of which is made when it is asked for, so that a million of them take little memory.

    Args:
        found: Entries in any order; here they are in the order of their keys, and of their paths where these are equal.

    Attributes:
        keys: The keys, in the order in which the entries were found.
        files: Their paths, in the same order.
        rows: Positions of the entries among these.
        distinct: Whether no two entries have the same key.
    """

    def __init__(self, found: Iterable[Entry]) -> None:
        self.keys, self.files = Texts(), Files()
        self.distinct, ascending, last = True, True, ""
        for key, path in found:
            ascending &= not len(self.keys) or last < key
            last = key
            self.keys.append(key)
            self.files.append(path)
        self.rows: Sequence[int] = range(len(self.keys))
        if not ascending:
            self._sort()

    def _sort(self) -> None:
        keys = list(self.keys)
        rows = sorted(range(len(keys)), key=keys.__getitem__)
        self.distinct = all(keys[one] != keys[other] for one, other in itertools.pairwise(rows))
        if not self.distinct:
            rows.sort(key=lambda row: self._entry(row))
        self.rows = array("q", rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, position: int) -> Entry: ...
    @overload
    def __getitem__(self, position: slice) -> list[Entry]: ...
    def __getitem__(self, position: int | slice) -> Entry | list[Entry]:
        if isinstance(position, slice):
            return [self._entry(row) for row in self.rows[position]]
        return self._entry(self.rows[position])

    def __iter__(self) -> Iterator[Entry]:
        return map(self._entry, self.rows)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (Entries, list)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Entries({list(self)})"

    def _entry(self, row: int) -> Entry:
        path = self.files[row]
        if path is None:
            raise AssertionError  # every entry is a file
        return Entry(self.keys[row], path)


class Listing(NamedTuple):
    """The files of a folder.

    Attributes:
        entries: The image files in the order of their keys.
        problems: D131 for entries that cannot be read, W215 for files without an image extension.
        others: The files of W215.
    """

    entries: Sequence[Entry]
    problems: list[Finding]
    others: Sequence[Path] = ()


def list_images(folder: Path, *, arrays_too: bool = False) -> Listing:
    """List all files below `folder` with an image extension, except hidden and system files.

    NumPy arrays (`.npy`) count as images only if there are no others: next to images they hold something else.
    Symbolic links are followed; a folder that was already visited is not entered again.

    Args:
        folder: The folder to list.
        arrays_too: List arrays even next to images, for folders of masks.
    """
    problems: list[Finding] = []
    arrays: list[Entry] = []
    others: list[Path] = []

    def images() -> Iterator[Entry]:
        for path in _walk(folder, set(), problems):
            suffix = path.suffix.lower()
            if suffix == ARRAY_SUFFIX:
                arrays.append(Entry(_key(path, folder), path))
            elif suffix in SUFFIXES:
                yield Entry(_key(path, folder), path)
            elif suffix not in _COMPANIONS:
                others.append(path)

    entries = Entries(images())
    if arrays and entries and not arrays_too:
        others += [entry.path for entry in arrays]
    elif arrays:
        entries = Entries(itertools.chain(entries, arrays))
    if others:
        problems.append(
            finding(
                "W215",
                f"{printable(folder)}: files without an image extension are left out: {describe_endings(others)}",
                [printable(path) for path in others],
                f"extensions of images: {', '.join(SUFFIXES)}; convert other formats to PNG",
            )
        )
    return Listing(entries, problems, others)


def describe_endings(files: Sequence[Path]) -> str:
    """The four most frequent extensions of files with their numbers: `.heic (3), no extension (1)`."""
    counts = Counter(path.suffix.lower() or "no extension" for path in files)
    shown = ", ".join(f"{printable(ending)} ({count})" for ending, count in counts.most_common(4))
    return shown if len(counts) <= 4 else f"{shown}, and {len(counts) - 4} other extensions"


def list_files(folder: Path, suffix: str) -> list[Path]:
    """List all files below `folder` with the extension `suffix` (lower case), sorted, except hidden ones."""
    return sorted(path for path in _walk(folder, set(), []) if path.suffix.lower() == suffix)


def holds_files(folder: Path, suffixes: Collection[str]) -> bool:
    """Whether any file below `folder` has one of the extensions (lower case), except hidden ones.

    Much faster than `list_files`, because only names are read.
    """
    visited: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        where = os.path.realpath(place)
        folders[:] = [] if where in visited else [name for name in folders if not is_hidden(name)]
        visited.add(where)
        if any(os.path.splitext(name)[1].lower() in suffixes for name in names if not is_hidden(name)):
            return True
    return False


def image_stems(folder: Path) -> list[str]:
    """Names of the image files directly in `folder`, without extension; empty if it cannot be listed.

    Much faster than `list_images`, because only names are read: for recognising a data set.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    split = (os.path.splitext(name) for name in names if not is_hidden(name))
    return [stem for stem, suffix in split if suffix.lower() in SUFFIXES]


def is_hidden(name: str) -> bool:
    """Whether a file or folder name is hidden or belongs to the system, not to the data."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def subfolders(folder: Path) -> dict[str, Path]:
    """Folders directly below `folder`, by lower-case name; empty if it cannot be listed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    return {name.lower(): folder / name for name in names if not is_hidden(name) and (folder / name).is_dir()}


def _key(path: Path, folder: Path) -> str:
    # Text by text: pathlib takes ten times as long, and there may be millions of files.
    above = 0 if folder == _HERE else len(os.fspath(folder))
    parent = "" if path.parent == folder else os.fspath(path.parent)[above:].lstrip(os.sep)
    key = f"{parent.replace(os.sep, '/')}/{path.stem}" if parent else path.stem
    return key if key.isascii() and key.isprintable() else printable(unicodedata.normalize("NFC", key))


def _walk(folder: Path, visited: set[tuple[int, int]], problems: list[Finding]) -> Iterator[Path]:
    try:
        with reads(folder):
            here = folder.stat()
            # A folder may give the names and kinds of its files without giving access to them.
            open_to_us = os.access(folder, os.X_OK)
            with os.scandir(folder) as found:
                # Of millions of files only the names are kept.
                names, other = _names_of(found, open_to_us)
        if (here.st_dev, here.st_ino) in visited:
            problems.append(
                finding(
                    "D131",
                    f"{printable(folder)}: is a link to a folder that is already listed",
                    [printable(folder)],
                    "remove the link",
                )
            )
            return
        visited.add((here.st_dev, here.st_ino))
    except OSError as error:
        problems.append(_finding(unreadable(folder, error), folder))
        return
    while names:  # a name is gone once its path is: Python keeps a table of the names of all paths that there are
        name = names.pop()
        path = folder / name
        try:
            mode = _mode(path) if name in other else stat.S_IFREG
        except OSError as error:
            problems.append(_finding(unreadable(path, error), path))
            continue
        if stat.S_ISDIR(mode):
            yield from _walk(path, visited, problems)
        elif stat.S_ISREG(mode):
            yield path
        else:
            problems.append(
                finding(
                    "D131",
                    f"{printable(path)}: is {kind_of_entry(mode)}, not a file",
                    [printable(path)],
                    "remove it, or replace it with the image",
                )
            )


def _names_of(found: Iterable[os.DirEntry[str]], open_to_us: bool) -> tuple[list[str], set[str]]:
    """The names in a folder, except hidden ones, the last one first; those of them that may not be those of files."""
    names: list[str] = []
    other: set[str] = set()
    for entry in found:
        if is_hidden(entry.name):
            continue
        names.append(entry.name)
        is_file = False
        if open_to_us:
            with contextlib.suppress(OSError):  # which is met again where its kind matters
                is_file = entry.is_file(follow_symlinks=False)
        if not is_file:
            other.add(entry.name)
    names.sort(reverse=True)
    return names, other


def _mode(path: Path) -> int:
    """Kind of what a path, or the link at its end, leads to; most folders tell the kind of a file with its name."""
    with reads(path):
        return path.stat().st_mode


def _finding(error: DataError, path: Path) -> Finding:
    return finding_of(error, printable(path))
