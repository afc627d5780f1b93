"""The fingerprint of a data set, one hash of all its content, and a cache of the hashes of files."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.storage import sha256_bytes, sha256_file
from pixelwise.storage.cache_kinds import HASHES
from pixelwise.storage.parted import PartedCache
from pixelwise.storage.stores.members import Member, state_of

Found = TypeVar("Found")
Digests = tuple[str, str, str | list[str | None] | None]
"""Id of a sample, SHA-256 of its image, and of its mask or masks; None without masks."""
UNREADABLE = "unreadable"
"""Stands for the hash of a file that cannot be read."""
SETTLED_SECONDS = 2.0
"""Hashes of younger files are not cached: they may change again within the resolution of their time stamps."""
_PART = 16384
_AHEAD = 256
"""Samples whose files are being looked up or wait for it."""
_FACTS = struct.Struct("<qq")


class HashCache:
    """SHA-256 of files, cached by path, size and modification time in the user's cache folder.

    Args:
        root: Folder of the data set; every folder has its own cache.

    Attributes:
        changed: Files whose content changed although size and modification time did not: they were damaged on disk.
            Only `digest(path, fresh=True)` finds them.
    """

    def __init__(self, root: Path) -> None:
        self._parts = PartedCache(HASHES, sha256_bytes(os.fsencode(root.resolve()))[:20], most=_PART, gone=is_gone)
        self.changed: list[Path] = []

    def digest(self, path: Path, *, fresh: bool = False) -> str:
        """Hexadecimal SHA-256 of the file, from the cache unless `fresh`. Thread-safe.

        The index of a data set in shards holds the hash of each of its files. Of files within tars and tables of other
        programs that lie on another machine, it is a hash of their place and of the version of the tar.

        Raises:
            OSError: The file cannot be read.
        """
        place = path.place if isinstance(path, Member) else None
        if place is not None and (place.exact or place.store.far):
            if fresh and place.content() is None:
                self.changed.append(path)
            return place.sha256.hex()
        if place is not None:
            return self._digest(path, place.sha256, fresh=fresh, settled=True)
        facts = path.stat()
        settled = time.time() - facts.st_mtime > SETTLED_SECONDS
        return self._digest(path, _FACTS.pack(facts.st_size, facts.st_mtime_ns), fresh=fresh, settled=settled)

    def _digest(self, path: Path, state: bytes, *, fresh: bool, settled: bool) -> str:
        """The hash of a file in a state; it is stored if the file is `settled`: the state changes with its content."""
        key = os.fsencode(path.absolute())
        known = self._parts.get(key, lambda value: value.startswith(state))
        if known is not None and not fresh:
            return known[len(state) :].hex()
        digest = sha256_bytes(path.read_bytes()) if isinstance(path, Member) else sha256_file(path)
        if known is not None and known[len(state) :].hex() != digest:
            self.changed.append(path)
        elif known is None and settled:
            self._parts.put(key, state + bytes.fromhex(digest))
        return digest

    def save(self, *, own: bool = False) -> None:
        """Write new hashes to the cache folder; those of `changed` files keep their old value.

        Args:
            own: Leave what other processes have written as it is; see `PartedCache.save`.
        """
        self._parts.save(own=own)


def is_gone(path: bytes) -> bool:
    """Whether a file was removed from its folder; False for one in an archive, in a store, or in a lost folder."""
    return not os.path.lexists(path) and os.path.isdir(os.path.dirname(path))


def fingerprint(dataset: Dataset, splits: Sequence[str] | None = None, *, fresh: bool = False) -> str:
    """SHA-256 (hexadecimal) of the content of `dataset`: equal fingerprints mean equal data.

    It covers split names, ids, the contents of all images and masks, the label table, the classes and the reading
    options, but not the location of the files. A file that cannot be read counts as `unreadable`; the audit reports
    such files.

    Args:
        dataset: The data set, as returned by `open_dataset`.
        splits: Names of the splits to cover; None covers all.
        fresh: Read every file even if its hash is cached.
    """
    names = sorted(dataset.splits if splits is None else splits)
    cache = HashCache(dataset.root)
    # The JSON of (names, content, table, classes, reading), piece by piece: of millions of samples it is long.
    digest = hashlib.sha256(b"[" + msgspec.json.encode(names) + b",[")
    content = ((name, *one) for name in names for one in _digests_of(dataset.splits.get(name, ()), cache, fresh=fresh))
    for number, one in enumerate(content):
        digest.update((b"," if number else b"") + msgspec.json.encode(one))
    cache.save()
    label_table = dataset.label_table
    table: tuple[object, ...] = (sorted(label_table.ids.items()), sorted(label_table.colors.items()))
    if label_table.threshold is not None or label_table.divisor is not None:
        table = (*table, label_table.threshold, label_table.divisor)
    if label_table.from_alpha:
        table = (*table, "alpha")
    if label_table.tolerance is not None:
        table = (*table, "tolerance", label_table.tolerance)
    reading = msgspec.to_builtins(dataset.reading)
    if dataset.reading.channels is None:
        # Left out so that data keeps the fingerprint that it had before channels could be chosen.
        del reading["channels"]
    digest.update(b"]," + msgspec.json.encode((table, dataset.classes, reading))[1:])
    return digest.hexdigest()


def image_digests(samples: Sequence[Sample], root: Path) -> Iterator[tuple[str, str]]:
    """Id and SHA-256 (hexadecimal) of the image of each sample; those that cannot be read are left out.

    Args:
        samples: Samples of a data set.
        root: Its folder, for which hashes are cached.
    """
    if isinstance(samples, Digested) and samples.hashed:
        yield from ((id, image) for id, image, _ in samples.digests() if image not in ("", UNREADABLE))
        return
    cache = HashCache(root)
    for id, digest in _looked_up(samples, lambda sample: (sample.id, _digest(cache, sample.image_path, fresh=False))):
        if digest != UNREADABLE:
            yield id, digest
    cache.save()


@runtime_checkable
class Digested(Protocol):
    """Samples whose files have known hashes, so that no file is looked at.

    Attributes:
        hashed: Whether the hashes are known; otherwise the files are read.
    """

    hashed: bool

    def digests(self) -> Iterator[Digests]:
        """Id and hashes of every sample."""
        ...


@runtime_checkable
class Identified(Protocol):
    """Samples that are told from others at once, without making one after the other."""

    def identity(self) -> str:
        """SHA-256 (hexadecimal) of ids, places and content of all samples, in their order."""
        ...


def _digests_of(samples: Sequence[Sample], cache: HashCache, *, fresh: bool) -> Iterable[Digests]:
    if isinstance(samples, Digested) and samples.hashed and not fresh:
        return samples.digests()

    def digests(sample: Sample) -> Digests:
        image, *masks = (
            None if path is None else _digest(cache, path, fresh)
            for path in (sample.image_path, *(sample.class_masks or (sample.mask_path,)))
        )
        if not sample.class_masks:
            return sample.id, image or "", masks[0]
        ignore = sample.ignore_mask
        return sample.id, image or "", [*masks, None if ignore is None else _digest(cache, ignore, fresh)]

    return _looked_up(samples, digests)


def _looked_up(samples: Sequence[Sample], look_up: Callable[[Sample], Found]) -> Iterator[Found]:
    """What is looked up of every sample, in their order: a few at a time, by several threads."""
    with thread_pool(reading_threads()) as pool:
        waiting: deque[Future[Found]] = deque()
        for sample in samples:
            waiting.append(pool.submit(look_up, sample))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _digest(cache: HashCache, path: Path, fresh: bool) -> str:
    try:
        return cache.digest(path, fresh=fresh)
    except OSError:
        return UNREADABLE


def stat_signature(paths: Iterable[Path]) -> str:
    """SHA-256 of paths, sizes and modification times; it changes when a file is touched, and no file is read.

    For files in shards, their own SHA-256 takes the place of the time.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            state = state_of(path)
        except OSError as error:
            state = f"error {error.errno}"
        digest.update(os.fsencode(path.absolute()) + b"\0" + state.encode() + b"\0")
    return digest.hexdigest()
