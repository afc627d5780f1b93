"""Compares the tars of a data set in shards with its index, byte for byte."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.shards.facts import Shard
from pixelwise.datasets.shards.index import Placed
from pixelwise.datasets.shards.layout import is_sharded, open_shards
from pixelwise.datasets.shards.rows import Shards
from pixelwise.datasets.shards.tars import header_problem
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of

_TOGETHER = 64
_WAITING = 16
"""Threads that read files of another machine; they mostly wait."""
_FIX = "copy the shard again, or make the shards again with `pixelwise data shard`"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of comparing tars with their index.

    Attributes:
        root: The folder.
        images: Number of images; those that are in several splits count once.
        files: Number of files that were compared.
        bytes: Their size together.
        problems: D271 for tars that are missing or have another size, and for files with another content or header.
    """

    root: Path
    images: int
    files: int
    bytes: int
    problems: tuple[Finding, ...] = ()


def verify(root: str | os.PathLike[str], *, observer: Observer = SILENT) -> Verification:
    """Compare every file of a data set in shards with its SHA-256, and the tars with the index.

    Args:
        root: Folder of the data set.
        observer: Receives the number of finished images.

    Raises:
        DataError: D222, the folder holds no shards; D270, the index is damaged.
        RecipeError: R240, pyarrow is not installed.
    """
    folder = place_of(root)
    if not is_sharded(folder):
        raise DataError(
            "D222",
            f"{printable(folder)}: holds no shards",
            "make them with `pixelwise data shard`, then name their folder",
        )
    shards = open_shards(folder, labelled=False)
    if not shards.index.facts.exact:
        raise DataError(
            "D222",
            f"{printable(folder)}: holds tars or tables of another program, which do not say what their files' SHA-256 "
            "is",
            "`pixelwise check` reads every image and mask; `pixelwise data shard` makes shards that can be verified",
        )
    observer.phase("comparing the shards with their index")
    broken = {
        number: reason for number, one in enumerate(shards.index.facts.shards) if (reason := _size_problem(shards, one))
    }
    rows = _distinct_rows(shards)
    wrong, files, size = _compared(shards, rows, broken, observer)
    problems = [
        finding("D271", f"{names[0]}: {reason}", names, _FIX) for reason, names in _by_reason(shards, broken, wrong)
    ]
    return Verification(root=folder, images=len(rows), files=files, bytes=size, problems=tuple(problems))


def _size_problem(shards: Shards, shard: Shard) -> str:
    try:
        size = shards.store.size(shard.name)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if size == shard.size else f"has {size} bytes instead of {shard.size}"


def _distinct_rows(shards: Shards) -> list[int]:
    """The first row of each image: the same files may be in several splits."""
    found: dict[tuple[object, ...], int] = {}
    columns = [column for files in shards.index.files for column in (files.offsets, files.sizes, files.sha256)]
    for row, one in enumerate(zip(shards.index.shards.tolist(), *(column.tolist() for column in columns), strict=True)):
        found.setdefault(one, row)
    return list(found.values())


def _compared(
    shards: Shards, rows: Sequence[int], broken: dict[int, str], observer: Observer
) -> tuple[list[tuple[str, str]], int, int]:
    """(name, reason) of each file that is wrong; the number of files that were compared, and of their bytes."""
    wrong: list[tuple[str, str]] = []
    files, size = 0, 0

    def of_row(row: int) -> tuple[list[tuple[str, str]], int, int]:
        if int(shards.index.shards[row]) in broken:
            return [], 0, 0
        placed = _placed(shards, row)
        name = shards.index.facts.shards[shards.index.shards[row]].name
        found = ((f"{name}/{one.name}", _problem(shards, name, one)) for one in placed)
        return [one for one in found if one[1]], len(placed), sum(one.size for one in placed)

    with thread_pool(_WAITING if shards.store.far else reading_threads()) as pool:
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            for found, number, length in pool.map(of_row, some):
                wrong += found
                files, size = files + number, size + length
            observer.progress(start + len(some), len(rows))
    return wrong, files, size


def _placed(shards: Shards, row: int) -> list[Placed]:
    return [
        Placed(one.names[row].as_py(), int(one.offsets[row]), int(one.sizes[row]), one.sha256[row].tobytes())
        for one in shards.index.files
        if one.offsets[row] >= 0
    ]


def _problem(shards: Shards, name: str, placed: Placed) -> str:
    """What is wrong with a file, as a phrase; empty if nothing is."""
    try:
        begin = max(0, placed.offset - tarfile.BLOCKSIZE)
        read = shards.store.read(name, begin, placed.offset - begin + placed.size)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    content = read[placed.offset - begin :]
    if len(content) != placed.size or hashlib.sha256(content).digest() != placed.sha256:
        return "what lies there is not the file that the index describes: its SHA-256 is another"
    return header_problem(read[: placed.offset - begin], placed)


def _by_reason(shards: Shards, broken: dict[int, str], wrong: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Each reason with the printable names of the tars or files that have it."""
    found: dict[str, list[str]] = {}
    names = [(shards.index.facts.shards[number].name, reason) for number, reason in broken.items()]
    for name, reason in (*names, *wrong):
        found.setdefault(reason, []).append(printable(name))
    return list(found.items())
