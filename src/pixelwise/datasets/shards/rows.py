"""The samples of a data set in shards, which are made when somebody asks for them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import msgspec
import numpy as np

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.fingerprint import Digests
from pixelwise.datasets.samples import Sample
from pixelwise.datasets.shards.foreign.cells import column_name
from pixelwise.datasets.shards.index import Files, Index
from pixelwise.storage.stores.members import Member, Place, in_parts
from pixelwise.storage.stores.store import Store
from pixelwise.storage.stores.versions import Versions

_NEAR = 1 << 16
"""Files of a sample with more bytes between them than this are read one by one."""


@dataclass(frozen=True)
class Shards:
    """A data set in shards.

    Attributes:
        root: Folder of the index and the tars.
        store: The store of the tars.
        index: Where each image and mask is.
        fetched: Folder of this machine to which the index of an address was fetched.
        versions: The versions of the tars of which parts were read since this was opened.
    """

    root: Path
    store: Store
    index: Index
    fetched: Path | None = None
    versions: Versions = field(default_factory=Versions, compare=False)

    def sample(self, row: int) -> Sample:
        """The sample of a row of the index."""
        image, *masks = self._members(row)
        if image is None:
            raise AssertionError  # every row of an index that was read has an image
        classes = tuple(masks) if self.index.facts.multilabel else ()
        first = next((mask for mask in masks if mask is not None), None)
        if not classes:
            return Sample(self.index.keys[row].as_py(), image, first)
        named = next((mask for mask in classes[:-1] if mask is not None), None)
        return Sample(self.index.keys[row].as_py(), image, named, classes[:-1], classes[-1])

    def digests(self, row: int) -> Digests:
        """Id of a row, and the SHA-256 of its image and masks."""
        image, *masks = (
            files.sha256[row].tobytes().hex() if files.offsets[row] >= 0 else None for files in self.index.files
        )
        several = self.index.facts.multilabel
        return self.index.keys[row].as_py(), image or "", masks if several else next(iter(masks), None)

    def marks(self, rows: np.ndarray) -> list[tuple[str, ...]]:
        """What changes with the content of rows: id, and the name and SHA-256 of the image."""
        images = self.index.files[0]
        return [
            (self.index.keys[row].as_py(), images.names[row].as_py(), images.sha256[row].tobytes().hex())
            for row in map(int, rows)
        ]

    def _members(self, row: int) -> list[Member | None]:
        shard = self.index.facts.shards[self.index.shards[row]].name
        there = [files for files in self.index.files if files.offsets[row] >= 0]
        begin = min(int(files.offsets[row]) for files in there)
        end = max(int(files.offsets[row]) + int(files.sizes[row]) for files in there)
        near = end - begin <= sum(int(files.sizes[row]) for files in there) + _NEAR * len(there)
        # Else whoever reads a small mask reads the large image beside it, of which only parts are wanted.
        near = near and not any(in_parts(files.names[row].as_py(), int(files.sizes[row])) for files in there)
        columns = self.index.facts.columns or (None,) * len(self.index.files)
        span = (begin, end) if near and not self.index.facts.columns else None
        return [
            self._member(files, row, shard, column, span) if files.offsets[row] >= 0 else None
            for files, column in zip(self.index.files, columns, strict=True)
        ]

    def _member(self, files: Files, row: int, shard: str, column: str | None, span: tuple[int, int] | None) -> Member:
        offset, size = int(files.offsets[row]), int(files.sizes[row])
        begin, end = span or (offset, offset + size)
        exact, mark = self.index.facts.exact, files.sha256[row].tobytes()
        name = shard if column is None else column_name(shard, column)
        place = Place(self.store, name, offset, size, mark, begin, end, exact, self.versions)
        return Member(self.root / shard / files.names[row].as_py(), place)


class ShardedSamples(Sequence[Sample]):
    """The samples of some rows. Each is made anew when it is asked for, so that a million of them take no memory.

    Args:
        shards: The data set.
        rows: Positions in the index.
    """

    def __init__(self, shards: Shards, rows: range | np.ndarray) -> None:
        self.shards = shards
        self.rows = rows

    @property
    def hashed(self) -> bool:
        """See `pixelwise.datasets.fingerprint.Digested`."""
        return self.shards.index.facts.exact or self.shards.store.far

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, position: int) -> Sample: ...
    @overload
    def __getitem__(self, position: slice) -> ShardedSamples: ...
    def __getitem__(self, position: int | slice) -> Sample | ShardedSamples:
        if isinstance(position, slice):
            return ShardedSamples(self.shards, self.rows[position])
        return self.shards.sample(int(self.rows[position]))

    def digests(self) -> Iterator[Digests]:
        """See `pixelwise.datasets.fingerprint.Digested`."""
        return map(self.shards.digests, map(int, self.rows))

    def identity(self) -> str:
        """See `pixelwise.datasets.fingerprint.Identified`."""
        index, rows = self.shards.index, np.asarray(self.rows, np.int64)
        digest = hashlib.sha256(repr((os.fsencode(self.shards.root), index.facts.multilabel)).encode())
        digest.update(msgspec.json.encode([shard.name for shard in index.facts.shards]))
        digest.update(msgspec.json.encode(index.keys.take(rows).to_pylist()))
        digest.update(index.shards[rows].tobytes())
        for files in index.files:
            for column in (files.offsets, files.sizes, files.sha256):
                digest.update(np.ascontiguousarray(column[rows]).tobytes())
            digest.update(msgspec.json.encode(files.names.take(rows).to_pylist()))
        return digest.hexdigest()

    def ids(self) -> Iterator[str]:
        """See `pixelwise.datasets.samples.Unmade`."""
        return (self.shards.index.keys[row].as_py() for row in map(int, self.rows))

    def chosen(self, places: Sequence[int]) -> tuple[Sample, ...]:
        """See `pixelwise.datasets.samples.Unmade`."""
        return as_tuple(ShardedSamples(self.shards, np.asarray(self.rows, np.int64)[np.asarray(places, np.int64)]))

    def __iter__(self) -> Iterator[Sample]:
        return map(self.shards.sample, map(int, self.rows))
