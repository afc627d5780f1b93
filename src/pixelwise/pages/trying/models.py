"""Models that photos can be tried on: the runs and artefacts of the catalogue, each in a process of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pixelwise.observer import SILENT
from pixelwise.pages.catalog import Catalog
from pixelwise.records.run_folder import has_checkpoints
from pixelwise.runtimes.reading import is_artefact
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.pool import Pool
from pixelwise.serving.server import pool_of

MOST_MODELS = 2
"""Models in memory; when another one is asked for, that which was asked for longest ago goes."""
LIMITS = ServeOptions(workers=1, batch=1)
"""Limits of a photo: bytes, pixels, seconds."""


class Choice(NamedTuple):
    """A model that can be chosen.

    Attributes:
        id: Its id in addresses.
        name: The run or artefact as its user knows it.
        run: Its folder.
    """

    id: str
    name: str
    run: Path


class Models:
    """The models, of which the last ones that were asked for are kept.

    Args:
        catalog: The folders whose models may be tried.
        open_pool: Makes the worker of a folder, which is not started yet.
    """

    def __init__(self, catalog: Catalog, open_pool: Callable[[Path], Pool] | None = None) -> None:
        self._catalog = catalog
        self._open = open_pool or (lambda run: pool_of(run, LIMITS, Metrics(), SILENT))
        self._pools: OrderedDict[Path, Pool] = OrderedDict()
        self._lock = threading.Lock()

    def choices(self) -> list[Choice]:
        """All runs with weights and all artefacts that have a result, in the order of their names."""
        found: dict[Path, Choice] = {}
        for entry in self._catalog.entries():
            if entry.run not in found and (has_checkpoints(entry.run) or is_artefact(entry.run)):
                found[entry.run] = Choice(entry.id, entry.name, entry.run)
        return list(found.values())

    def pool(self, id: str) -> Pool | None:
        """The worker of a model, started if need be; None if there is no such model.

        Raises:
            PixelwiseError: The model cannot be loaded.
        """
        chosen = next((one for one in self.choices() if one.id == id), None)
        if chosen is None:
            return None
        with self._lock:
            found = self._pools.get(chosen.run)
            if found is None:
                while len(self._pools) >= MOST_MODELS:
                    self._pools.popitem(last=False)[1].close()
                found = self._open(chosen.run)
                found.start()
                self._pools[chosen.run] = found
            self._pools.move_to_end(chosen.run)
            return found

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            while self._pools:
                self._pools.popitem()[1].close()
