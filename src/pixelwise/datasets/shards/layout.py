"""The layout of a data set in shards, from its index alone: no tar is opened."""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.samples import Sample
from pixelwise.datasets.shards.facts import INDEX
from pixelwise.datasets.shards.fetching import fetched_index
from pixelwise.datasets.shards.index import holds_index, read_index
from pixelwise.datasets.shards.rows import ShardedSamples, Shards
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.remote import remote_store
from pixelwise.storage.stores.store import FolderStore


def is_sharded(root: Path) -> bool:
    """Whether a folder holds a data set in shards, readable or not; whatever lies at an address is taken for one."""
    return address_of(root) is not None or holds_index(root / INDEX)


def open_shards(root: Path) -> Shards:
    """The data set in shards in a folder or at an address.

    Raises:
        DataError: D222, there is no index at the address; D270, the index is damaged; D272, the store does not answer
            or refuses.
        RecipeError: R240, pyarrow, or obstore for an address, is not installed.
    """
    address = address_of(root)
    if address is None:
        return Shards(root, FolderStore(root), read_index(root / INDEX))
    store = remote_store(address)
    folder = fetched_index(root, store)
    return Shards(root, store, read_index(folder / INDEX, shown=root / INDEX), folder)


def sharded_layout(root: Path) -> Layout:
    """The layout of the data before it was put into shards, with its samples in the tars.

    Raises:
        As `open_shards`.
    """
    shards = open_shards(root)
    facts, splits = shards.index.facts, shards.index.splits
    divided = {name for parts in facts.divisions.values() for name in parts.values()}
    own = {name: _samples(shards, rows) for name, rows in splits.items() if name not in divided}
    return Layout(
        name=facts.format,
        description=f"{facts.description}, in {counted(len(facts.shards), 'shard')}",
        root=root,
        splits=Divided(own) if facts.divided else own,
        overlapping=facts.overlapping,
        divisions={
            train: {split: _samples(shards, splits[name]) for split, name in parts.items()}
            for train, parts in facts.divisions.items()
        },
        classes=facts.classes,
        palette=facts.palette,
        label_map=facts.label_map,
        colors=facts.colors,
        label_names=facts.label_names,
        multilabel=facts.multilabel,
        lists_classes=facts.lists_classes,
        described_in=shards.fetched,
    )


def _samples(shards: Shards, rows: range) -> tuple[Sample, ...]:
    return as_tuple(ShardedSamples(shards, rows))
