"""The data sets that were named, and which of their files may be shown."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from pixelwise.pages.catalog import Catalog
from pixelwise.pages.labels.survey import Survey, is_generated
from pixelwise.storage.caches import is_cached
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.members import Member
from pixelwise.storage.stores.store import FolderStore, Store


class Shelf:
    """The data sets that were named.

    Args:
        data: Their folders or addresses, or names of data that is generated.
        catalog: The folders of runs, of which those without runs are taken for data, too.
    """

    def __init__(self, data: Sequence[Path], catalog: Catalog) -> None:
        self._catalog = catalog
        turn = threading.Lock()
        named = dict.fromkeys((*data, *_without_runs(catalog, data)))
        self.surveys = {survey.id: survey for survey in (Survey(path, turn) for path in named)}
        folders = [path for path in named if address_of(path) is None and not is_generated(path)]
        self._holding = Catalog(catalog.roots, folders)

    def open(self) -> None:
        """Begin to open all of them, so that the first page does not wait for it."""
        for survey in self.surveys.values():
            survey.open()

    def outdate(self, folder: Path, files: bool) -> None:
        """Note that files of a data folder were changed.

        Args:
            folder: The folder without links.
            files: Whether there are other files, too.
        """
        for survey in self.surveys.values():
            if address_of(survey.path) is None and survey.path.resolve() == folder:
                survey.outdate(files)

    def holds(self, path: Path) -> bool:
        """Whether a file of a data set may be shown: it lies within the folders, wherever its links lead."""
        place = path.place if isinstance(path, Member) else None
        if place is None:
            # Masks that are drawn from annotations, and data that is generated, lie in the cache folder.
            return self._holding.holds(path) or is_cached(path)
        store: Store = getattr(place.store, "store", place.store)  # the cells of tables lie in the files of a store
        if isinstance(store, FolderStore):
            return self._holding.holds(store.folder / place.name)
        return store.far  # nothing else than the address that was given is asked


def _without_runs(catalog: Catalog, data: Sequence[Path]) -> list[Path]:
    """The folders below which there is no run, unless they are named as data already."""
    known = {path.resolve() for path in data if address_of(path) is None}
    with_runs = [entry.run for entry in catalog.entries()]
    roots = [root for root in catalog.roots if root not in known and root.is_dir()]
    return [root for root in roots if any(root.iterdir()) and not any(_is_within(run, root) for run in with_runs)]


def _is_within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents
