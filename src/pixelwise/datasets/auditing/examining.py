"""Examines the pairs of a data set, all of them or a part that is left to one job of an array."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import msgspec

from pixelwise.datasets.auditing.correspondence import compared_step
from pixelwise.datasets.auditing.examination import Examination, ExaminationCache, examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.ahead import TOGETHER, fetch_files, is_far
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.views import line

_AHEAD = 128
"""Pairs that are being examined or wait for it."""

_Numbered = tuple[int, str, Sample]
"""Position of a pair among all pairs of all splits, its split and the pair."""


class ExaminedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one job of an array examined.

    Attributes:
        path: Folder of the data set, as the user gave it.
        first: Position of the first pair of the part among all pairs of all splits, from 0 on.
        pairs: Number of pairs of the part.
        total: Number of pairs of the data set.
        examined: Number of pairs that were examined now; the others were known already.
        with_errors: Number of pairs of the part with errors in their files.
    """

    path: Path
    first: int
    pairs: int
    total: int
    examined: int
    with_errors: int

    def __repr__(self) -> str:
        return line("ExaminedPart", printable(self.path), self.in_words)

    @property
    def in_words(self) -> str:
        """`pairs 250 to 499 of 1000: 240 examined, 10 known before; 2 pairs with errors`."""
        span = f"pairs {self.first} to {self.first + self.pairs - 1} of {self.total}" if self.pairs else "no pairs"
        known = self.pairs - self.examined
        errors = f"; {counted(self.with_errors, 'pair')} with errors" if self.with_errors else ""
        return f"{span}: {self.examined} examined, {known} known before{errors}"


def examine_part(
    path: Path, data: Data, part: Callable[[range], Sequence[int]], *, observer: Observer = SILENT
) -> ExaminedPart:
    """Examine a part of the pairs into the cache folder, where an audit of the whole data set finds them.

    Several processes may do that at the same time, each with another part; one that is killed leaves what it examined.

    Args:
        path: Folder of the data set.
        data: The data section of the recipe.
        part: Chooses the positions of the part, which follow each other, among those of all pairs.
        observer: Receives the number of finished pairs.

    Raises:
        As `open_dataset`.
    """
    dataset = open_dataset(data, path)
    names, total = list(dataset.splits), sum(map(len, dataset.splits.values()))
    chosen = part(range(total))
    first, end = (chosen[0], chosen[-1] + 1) if chosen else (0, 0)
    observer.phase("looking at the data")
    new: list[int] = []
    with_errors = 0
    positions = range(first, end)
    with closing(
        examinations(dataset, names, HashCache(dataset.root), observer=observer, positions=positions, new=new)
    ) as found:
        for examination in found:
            with_errors += bool(examination.errors)
    return ExaminedPart(
        path=path, first=first, pairs=end - first, total=total, examined=len(new), with_errors=with_errors
    )


def examinations(
    dataset: Dataset,
    names: Sequence[str],
    hashes: HashCache,
    *,
    observer: Observer = SILENT,
    fresh: bool = False,
    positions: range | None = None,
    new: list[int] | None = None,
    known: ExaminationCache | None = None,
) -> Generator[Examination]:
    """Examine pairs, in order; finished examinations are cached even if the audit is interrupted.

    Args:
        dataset: The data set.
        names: Names of the splits.
        hashes: Cache of the files' content hashes, which is saved at the end.
        observer: Receives the number of finished pairs.
        fresh: Examine what is cached, too.
        positions: Positions among all pairs of these splits; None for all of them.
        new: Receives the positions of the pairs that were not cached.
        known: Cached examinations, if their cache was opened before: that takes a while.
    """
    total = sum(len(dataset.splits[name]) for name in names)
    wanted = range(total) if positions is None else positions
    cache = known or ExaminationCache(dataset, fresh=fresh, expected=len(wanted))
    # Pairs are compared by their places among all, whoever examines them.
    step = compared_step(total)

    def examined(one: _Numbered) -> Examination:
        number, split, sample = one
        found = cache.get(split, sample)
        if found is None:
            found = examine(split, sample, dataset, hashes, fresh=fresh, compared=number % step == 0)
            cache.put(found)
            if new is not None:
                new.append(number)
        return found

    pairs, done = numbered(dataset, names, wanted), 0
    try:
        with thread_pool(reading_threads()) as pool:
            # Some at a time: what waits to be examined takes memory, too.
            waiting: deque[Future[Examination]] = deque()
            for one in _fetched(pairs, cache) if is_far(dataset) else pairs:
                waiting.append(pool.submit(examined, one))
                if len(waiting) < _AHEAD:
                    continue
                done += 1
                yield waiting.popleft().result()
                observer.progress(done, len(wanted))
            while waiting:
                done += 1
                yield waiting.popleft().result()
                observer.progress(done, len(wanted))
    finally:
        hashes.save(own=positions is not None)
        cache.save(own=positions is not None)


def numbered(dataset: Dataset, names: Sequence[str], wanted: range) -> Iterator[_Numbered]:
    """Position, split and sample of the pairs at some positions among those of all these splits."""
    begin = 0
    for split in names:
        samples = dataset.splits[split]
        for number in range(max(begin, wanted.start), min(begin + len(samples), wanted.stop)):
            yield number, split, samples[number - begin]
        begin += len(samples)


def _fetched(pairs: Iterator[_Numbered], known: ExaminationCache) -> Iterator[_Numbered]:
    """The pairs, of which a few that lie on another machine are read at the same time."""
    while some := list(itertools.islice(pairs, 4 * TOGETHER)):
        fetch_files(sample for _, split, sample in some if known.get(split, sample) is None)
        yield from some
