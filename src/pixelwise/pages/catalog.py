"""The runs and results below the folders that were named. Pages know them by ids alone, never by paths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.records.evaluations import result_files
from pixelwise.records.result import RESULT, Result, load_result
from pixelwise.records.run_folder import is_run
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.addresses import address_of

DEPTH = 6
"""Levels of folders that are searched below each of those that were named."""
MOST_FOLDERS = 50_000
"""Folders that are looked at in one search; a data set of many may lie below a folder that was named."""
_NOT_SEARCHED = frozenset({"checkpoints", "evaluations", "pictures", "report_files", "images", "masks"})


class Refused(Exception):
    """A picture that is not shown; the text says why, and what would help."""


class Entry(NamedTuple):
    """A result, or a run that has none.

    Attributes:
        id: Id of the result in addresses.
        name: The run as its user knows it: its path from the folder that was named.
        run: Folder of the run or the artefact.
        evaluation: Folder of the result below `evaluations/`; None for a run that has not been scored.
    """

    id: str
    name: str
    run: Path
    evaluation: Path | None


class Catalog:
    """The folders that pages may be made of.

    Args:
        folders: Folders of runs, and of data that may be shown. Links that lead out of them are not followed.
        data: Folders of data that may be shown, too, and are not searched for runs.
    """

    def __init__(self, folders: Sequence[Path], data: Sequence[Path] = ()) -> None:
        self.roots = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._data = tuple(dict.fromkeys(folder.resolve() for folder in data if address_of(folder) is None))
        self._found: dict[str, Entry] = {}
        self._results: dict[Path, tuple[tuple[int, int], Result | PixelwiseError]] = {}

    def holds(self, path: Path) -> bool:
        """Whether a path is within the folders, wherever its links lead."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a link that leads to itself
            return False
        return any(real == root or root in real.parents for root in (*self.roots, *self._data))

    def entries(self) -> list[Entry]:
        """All results and all runs without one, as they are on the disk now, in the order of their names."""
        found: dict[str, Entry] = {}
        for root in self.roots:
            for folder in _folders(root):
                for entry in self._entries_of(root, folder):
                    found.setdefault(entry.id, entry)
        self._found = found
        return sorted(found.values(), key=lambda entry: (entry.name, str(entry.evaluation)))

    def entry(self, id: str) -> Entry | None:
        """The entry of an id; None if there is none. The folders are searched only if it was not found before."""
        known = self._found.get(id)
        if known is not None and _is_there(known) and self.holds(known.evaluation or known.run):
            return known
        return next((entry for entry in self.entries() if entry.id == id), None)

    def result(self, entry: Entry) -> Result | None:
        """The result of an entry without the scores of its images, read again when its file changes; None without one.

        Raises:
            DataError: D240, the file is damaged.
        """
        if entry.evaluation is None:
            return None
        file = entry.evaluation / RESULT
        stamp = 0, 0
        with contextlib.suppress(OSError):  # gone since it was found, which reading it says
            facts = file.stat()
            stamp = facts.st_mtime_ns, facts.st_size
        known = self._results.get(file)
        if known is None or known[0] != stamp:
            known = stamp, _loaded(file)
            self._results[file] = known
        if isinstance(known[1], PixelwiseError):
            raise known[1]
        return known[1]

    def _entries_of(self, root: Path, folder: Path) -> Iterator[Entry]:
        own = folder.relative_to(root)
        name = printable(root.name if own == Path() else Path(root.name, own))
        files = [file for file in result_files(folder) if self.holds(file)]
        for file in files:
            yield Entry(_id(file.parent), name, folder, file.parent)
        if not files and is_run(folder):
            yield Entry(_id(folder), name, folder, None)


def _is_there(entry: Entry) -> bool:
    return is_run(entry.run) if entry.evaluation is None else (entry.evaluation / RESULT).is_file()


def stamp_of(entry: Entry) -> tuple[tuple[int, int], ...]:
    """Times and sizes of the files that a result's page is made of; empty if there is neither result nor run.

    The files of an evaluation are written before its `result.json`.
    """
    folders = (entry.run,) if entry.evaluation is None else (entry.evaluation, entry.run)
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            with os.scandir(folder) as files:  # knows most of what is a file without asking
                facts = [file.stat() for file in files if file.is_file()]
            found += sorted((one.st_mtime_ns, one.st_size) for one in facts)
    return tuple(found)


def _loaded(file: Path) -> Result | PixelwiseError:
    try:
        return load_result(file)
    except PixelwiseError as error:
        return error


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those below it, without following links; what cannot be listed is left out."""
    for seen, (here, names, _) in enumerate(os.walk(root)):
        if seen == MOST_FOLDERS:
            return
        folder = Path(here)
        depth = len(folder.relative_to(root).parts)
        names[:] = sorted(name for name in names if name not in _NOT_SEARCHED and depth < DEPTH)
        yield folder


def _id(folder: Path) -> str:
    """The same folder has the same id whenever the pages are served, so that addresses can be kept."""
    return sha256_bytes(os.fsencode(folder))[:12]
