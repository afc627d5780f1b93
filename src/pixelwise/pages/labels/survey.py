"""A data set that is opened and examined in the background, while its pages show what is known already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.correspondence import Grids, mask_fits
from pixelwise.datasets.auditing.examination import relative_name
from pixelwise.datasets.auditing.examining import examinations
from pixelwise.datasets.auditing.near_duplicates import Looks
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.opening import open_dataset, open_folder, require_folder
from pixelwise.datasets.samples import Dataset
from pixelwise.datasets.unlabelled import open_with_unlabelled, unlabelled_of
from pixelwise.errors import PixelwiseError
from pixelwise.observer import Observer
from pixelwise.pages.labels.columns import Columns, Entries, codes_of
from pixelwise.pages.labels.twins import KINDS, Twin, leaking, twins_of
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.addresses import address_of, recorded

LONGEST_WAIT = 0.2
"""Seconds that a page waits for a data set to be opened before it says that it is being opened."""


class Standing(NamedTuple):
    """How far the examination is.

    Attributes:
        step: `opening`, `examining`, `comparing`, `done` or `failed`.
        done: Number of pairs that were examined.
        total: Number of pairs.
        error: Why it failed; None also for a fault of Pixelwise, which the terminal shows.
    """

    step: str
    done: int = 0
    total: int = 0
    error: PixelwiseError | None = None


class Opened(NamedTuple):
    """A data set that was opened, and what is known of its pairs until now.

    Attributes:
        dataset: The data set.
        columns: What is known of the pairs.
        findings: For every row its findings; those about pairs of images, too, when all are examined.
        audit: The audit; None until it is there.
        twins: Images that are alike, by kind; empty until all are examined.
        unlabelled: Number of images without a mask that could get one.
        standing: How far the examination was.
    """

    dataset: Dataset
    columns: Columns
    findings: Entries
    audit: Audit | None
    twins: Mapping[str, list[Twin]]
    unlabelled: int = 0
    standing: Standing = Standing("opening")

    @property
    def about(self) -> tuple[Finding, ...]:
        """The findings: those of the audit, or what was noticed when the data set was opened."""
        return self.dataset.problems if self.audit is None else self.audit.findings


class _Ended(Exception):
    """The process ends, so that nobody needs the examination."""


class _Watching(Observer):
    """Ends the work of a thread when the process ends."""

    def progress(self, done: int, total: int | None) -> None:
        """See `Observer.progress`."""
        if not threading.main_thread().is_alive():
            raise _Ended


class Survey:
    """A data set by its folder. Opening and examining begin when they are first asked for, each in its own thread.

    Args:
        path: Folder of the data set, its address, or the name of data that is generated, such as `town`.
        turn: Held by the one data set that is being examined.

    Attributes:
        id: Its id in addresses; the same as long as the folder stays in its place.
        name: What its user calls it.
        path: The folder.
    """

    def __init__(self, path: Path, turn: threading.Lock) -> None:
        self.path, self.name = path, printable(path)
        self.id = sha256_bytes(recorded(path).encode("utf-8", "surrogateescape"))[:12]
        self._turn, self._lock = turn, threading.Lock()
        self._begun: set[str] = set()
        self._is_open = threading.Event()
        self._opened: Opened | None = None
        self._standing = Standing("opening")
        self._is_outdated = self._is_listed_anew = False

    def open(self) -> None:
        """Begin to open the data set, unless that was begun before."""
        self._begin("open", self._open)

    def opened(self) -> Opened | None:
        """The data set; None while it is being opened. Its examination begins when it is open.

        Raises:
            DataError: It cannot be opened.
            RecipeError: Likewise.
        """
        self.open()
        self._is_open.wait(LONGEST_WAIT)
        found, standing = self._opened, self._standing
        if found is None and standing.step == "failed":
            raise standing.error or RuntimeError("opening the data set failed")
        if found is None:
            return None
        self._renew()
        # The standing first: what is read then is at least as new, so that a page which is behind asks again.
        standing = self._standing
        found = self._opened or found
        self._begin("examine", self._examine)
        return found._replace(standing=standing)

    def outdate(self, files: bool = False) -> None:
        """Note that files were changed: they are examined again when the data set is next asked for.

        Args:
            files: Whether there are other files, too, so that they are listed again.
        """
        self._is_outdated = True
        self._is_listed_anew |= files

    @property
    def standing(self) -> Standing:
        """How far the examination is."""
        return self._standing

    def _renew(self) -> None:
        with self._lock:
            if self._is_outdated and self._standing.step == "done":
                self._is_outdated = False
                self._standing = Standing("examining", 0, self._standing.total)
                self._begun.discard("examine")

    def _begin(self, step: str, work: Callable[[], None]) -> None:
        with self._lock:
            if step in self._begun:
                return
            self._begun.add(step)
        # Not a daemon: PyTorch aborts a process that ends within its threads.
        threading.Thread(target=self._guarded, args=(work,)).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PixelwiseError as error:
            self._standing = Standing("failed", error=error)
        except BaseException:
            # Pools of threads take no work from a process that ends.
            if threading.main_thread().is_alive():
                self._standing = Standing("failed")
                raise
        finally:
            self._is_open.set()

    def _open(self) -> None:
        dataset = opened_data(self.path)
        columns = Columns(dataset)
        self._standing = Standing("examining", 0, len(columns))
        none: dict[str, list[Twin]] = {kind: [] for kind in KINDS}
        self._opened = Opened(dataset, columns, columns.findings, None, none, self._unlabelled(dataset))

    def _examine(self) -> None:
        opened = self._opened
        if opened is None:
            raise AssertionError  # it is examined when it is open
        if opened.audit is not None:  # again: what is known stays until all is examined
            opened = self._again(opened)
        with self._turn:
            looks, masks = self._added_up(opened)
            self._standing = self._standing._replace(step="comparing")
            found = audit(opened.dataset, observer=_Watching())
            columns, twins = opened.columns, twins_of(looks, opened.columns.begins)
            misfits = _compared(columns, masks)
            # W210 is about a split; it names images that show what the split lacks.
            known = {*columns.codes, "D133", "W134", "W261", "W210"}
            members = {**leaking(twins, columns.split), "W261": misfits, **_named(opened, found, known)}
            findings = columns.with_findings({code: rows for code, rows in members.items() if rows})
            self._opened = Opened(opened.dataset, columns, findings, found, twins, opened.unlabelled)
            self._standing = Standing("done", len(columns), len(columns))

    def _unlabelled(self, dataset: Dataset) -> int:
        """Number of images that could get a mask."""
        return 0 if address_of(self.path) is not None else len(unlabelled_of(dataset))

    def _again(self, opened: Opened) -> Opened:
        """The data set as it is listed now, of whose pairs nothing is known."""
        dataset, number = opened.dataset, opened.unlabelled
        if self._is_listed_anew:
            self._is_listed_anew = False
            dataset = opened_data(self.path)
            number = self._unlabelled(dataset)
        columns = Columns(dataset)
        self._standing = self._standing._replace(total=len(columns))
        return opened._replace(dataset=dataset, columns=columns, unlabelled=number)

    def _added_up(self, opened: Opened) -> tuple[dict[str, Looks], list[tuple[str, str, Grids]]]:
        """Fill the columns; what tells the images apart, and the grids by which masks are compared with them."""
        dataset, columns = opened.dataset, opened.columns
        names = list(dataset.splits)
        looks = {name: Looks(len(dataset.splits[name])) for name in names}
        masks: list[tuple[str, str, Grids]] = []
        with closing(examinations(dataset, names, HashCache(dataset.root), observer=_Watching())) as found:
            for row, one in enumerate(found):
                columns.add(row, one, codes_of(one, dataset))
                looks[one.split].set(row - int(columns.begins[columns.split[row]]), one.digest, one.look)
                if one.grids.edges:
                    masks.append(("", str(row), one.grids))
                self._standing = Standing("examining", row + 1, len(columns))
        return looks, masks


def opened_data(path: Path) -> Dataset:
    """Open a folder or an address as a custom data set, or data that is generated by its name.

    Raises:
        As `open_with_unlabelled`.
    """
    if is_generated(path):
        return open_dataset(Data(dataset=str(path)), None)
    return open_folder(path)[1] if address_of(path) is not None else open_with_unlabelled(path)[0]


def require_data(path: Path) -> None:
    """Refuse data that is not there; nothing is read and nothing generated.

    Raises:
        DataError: D222, it is neither a folder nor an address.
    """
    if is_generated(path):
        return
    require_folder(Data(), path)


def is_generated(path: Path) -> bool:
    """Whether a path is no folder but the name of data that is generated, such as `town`."""
    if path.exists() or address_of(path) is not None or len(path.parts) != 1:
        return False
    return not needs_folder(str(path))


def _compared(columns: Columns, masks: list[tuple[str, str, Grids]]) -> set[int]:
    """Note how well the masks fit their photos; the rows of those that seem to belong to others (W261)."""
    fits = mask_fits(masks)
    for fit in fits:
        columns.fits[int(fit.id)] = fit.score
        if fit.suspicious and fit.other:
            columns.partners[int(fit.id)] = int(fit.other)
    return {int(fit.id) for fit in fits if fit.suspicious}


def _named(opened: Opened, found: Audit, known: set[str]) -> dict[str, set[int]]:
    """The rows of files that findings name, for those codes whose rows nothing else tells, if all files are named."""
    whole = [one for one in found.findings if one.code not in known and one.total == len(one.files)]
    wanted = {file: one.code for one in whole for file in one.files}
    members: dict[str, set[int]] = {}
    if not wanted:
        return members
    root, row = opened.dataset.root, 0
    for samples in opened.dataset.splits.values():
        for sample in samples:
            for path in (sample.image_path, *sample.mask_files):
                code = wanted.get(relative_name(path, root))
                if code is not None:
                    members.setdefault(code, set()).add(row)
            row += 1
    return members


def fit_of(columns: Columns, row: int) -> float | None:
    """How well the mask of a row fits its photo; None if that is unknown."""
    value = float(columns.fits[row])
    return None if np.isnan(value) else value
