"""The work of an audit by units: one function, which any engine may call, anywhere, as often as it likes."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.auditing.correspondence import compared_step
from pixelwise.datasets.auditing.examination import DECODER, ENCODER, Examination, ExaminationCache, examine
from pixelwise.datasets.auditing.examining import examinations, numbered
from pixelwise.datasets.auditing.shards.units import PATIENCE, Attempts, Unit
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.machine.careful import by_processes
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable
from pixelwise.storage.caches import use_cache_home
from pixelwise.storage.stores.addresses import place_of


class Job(NamedTuple):
    """What examines, for workers of other processes and machines.

    Attributes:
        path: Folder of the data set, which has the same name on all machines, or its address.
        data: The data section of the recipe.
        fresh: Examine what is cached, too, and compare the files with their cached hashes.
        cache_home: Where the cache folder lies, which is the same for all.
        given: The address as it was given, with what gives access.
    """

    path: Path
    data: Data
    fresh: bool
    cache_home: Path
    given: tuple[str, ...] = ()


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever waits for a unit has to know of it; the rest is in the cache folder.

    Attributes:
        pairs: Number of its pairs.
        changed: Paths of files whose content changed although size and modification time did not, as the file system
            has them.
    """

    pairs: int
    changed: tuple[bytes, ...] = ()


class Examiner:
    """Examines units of a data set into the cache folder.

    Args:
        job: The job.
        dataset: The data set of the job.
    """

    def __init__(self, job: Job, dataset: Dataset) -> None:
        self._job, self._dataset = job, dataset
        self._names = list(dataset.splits)
        self._hashes = HashCache(dataset.root)
        self._known = ExaminationCache(dataset, fresh=job.fresh)
        self._attempts = Attempts((os.fsencode(dataset.root.absolute()), job.data, job.fresh))

    def examine(self, unit: Unit) -> Brief:
        """Examine the pairs of a unit.

        The work may be done more than once, for example by a worker that is believed dead: what is in the cache folder
        is the same. Problems of files are part of what is learnt. A file that ends the process is found when the unit
        is attempted for the third time: from then on its pairs are examined by further processes, fewer and fewer at a
        time, and the one of the file gets D136.
        """
        attempts, before = self._attempts.begin(unit), len(self._hashes.changed)
        if attempts > PATIENCE:
            self._examine_carefully(unit)
        else:
            found = examinations(
                self._dataset,
                self._names,
                self._hashes,
                fresh=self._job.fresh,
                positions=range(*unit),
                known=self._known,
            )
            with closing(found):
                for _ in found:
                    pass
        self._attempts.forget(unit)
        changed = tuple(os.fsencode(path) for path in self._hashes.changed[before:])
        return Brief(pairs=unit.pairs, changed=changed)

    def examine_each(self, positions: Sequence[int]) -> Iterator[bytes]:
        """Examine pairs, one after the other; what is learnt is not cached.

        Yields:
            What is learnt of each pair, as bytes.
        """
        step = compared_step(sum(map(len, self._dataset.splits.values())))
        for position in positions:
            ((_, split, sample),) = numbered(self._dataset, self._names, range(position, position + 1))
            compared = position % step == 0
            yield ENCODER.encode(examine(split, sample, self._dataset, self._hashes, compared=compared))

    def _examine_carefully(self, unit: Unit) -> None:
        positions = [
            (number, split, sample)
            for number, split, sample in numbered(self._dataset, self._names, range(*unit))
            if self._known.get(split, sample) is None
        ]
        with tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch:
            each = functools.partial(_examine_each, self._job)
            found = by_processes([number for number, _, _ in positions], each, bytes, Path(scratch))
        for place, (_, split, sample) in enumerate(positions):
            examination = Examination(split, sample, errors=[(sample.image_path, _deadly(sample.image_path))])
            if place in found:
                examination = DECODER.decode(found[place])
                examination.sample = sample  # files in shards are more than their paths
            self._known.put(examination)
        self._known.save(own=True)


def open_worker(job: Job) -> Callable[[Unit], Brief]:
    """What examines the units of a job in a worker.

    Raises:
        As `pixelwise.datasets.opening.open_dataset`.
    """
    return _open(job).examine


def _open(job: Job) -> Examiner:
    for address in job.given:
        place_of(address)
    use_cache_home(job.cache_home)
    return Examiner(job, open_dataset(job.data, job.path))


def _examine_each(job: Job, positions: Sequence[int]) -> Iterator[bytes]:
    return _open(job).examine_each(positions)


def _deadly(path: Path) -> DataError:
    """D136, the error of a pair that ends every process."""
    return DataError(
        "D136",
        f"{printable(path)}: the process that reads it, or its mask, ends each time",
        "write both again with another program, or check them with --fresh on a machine with more memory",
    )
