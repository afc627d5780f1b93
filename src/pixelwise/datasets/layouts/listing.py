"""Lists the image files below a folder; no entry can make it hang, loop or stop."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

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


class Listing(NamedTuple):
    """The files of a folder.

    Attributes:
        entries: The image files in the order of their keys.
        problems: D131 for entries that cannot be read, W215 for files without an image extension.
        others: The files of W215.
    """

    entries: list[Entry]
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
    entries: list[Entry] = []
    arrays: list[Entry] = []
    others: list[Path] = []
    for path in _walk(folder, set(), problems):
        suffix = path.suffix.lower()
        if suffix == ARRAY_SUFFIX:
            arrays.append(Entry(_key(path, folder), path))
        elif suffix in SUFFIXES:
            entries.append(Entry(_key(path, folder), path))
        elif suffix not in _COMPANIONS:
            others.append(path)
    if arrays and entries and not arrays_too:
        others += [entry.path for entry in arrays]
    entries = entries + arrays if arrays_too else entries or arrays
    if others:
        problems.append(
            finding(
                "W215",
                f"{printable(folder)}: files without an image extension are left out: {describe_endings(others)}",
                [printable(path) for path in others],
                f"extensions of images: {', '.join(SUFFIXES)}; convert other formats to PNG",
            )
        )
    return Listing(sorted(entries), problems, others)


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
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
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
    # A folder may give the names and kinds of its files without giving access to them.
    open_to_us = os.access(folder, os.X_OK)
    for entry in entries:
        if is_hidden(entry.name):
            continue
        path = folder / entry.name
        try:
            mode = stat.S_IFREG if open_to_us and entry.is_file(follow_symlinks=False) else _mode(path)
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


def _mode(path: Path) -> int:
    """Kind of what a path, or the link at its end, leads to; most folders tell the kind of a file with its name."""
    with reads(path):
        return path.stat().st_mode


def _finding(error: DataError, path: Path) -> Finding:
    return finding_of(error, printable(path))
