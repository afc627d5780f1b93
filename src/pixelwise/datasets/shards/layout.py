"""The layout of a data set in shards, from its index alone: no tar is opened.

Tars and tables of other programs get an index when they are first opened, and are read like our own from then on.
"""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.samples import Sample
from pixelwise.datasets.shards.facts import INDEX, UNFINISHED
from pixelwise.datasets.shards.fetching import fetched_index
from pixelwise.datasets.shards.foreign.containers import find_containers, holds_containers
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.datasets.shards.foreign.indexing import indexed
from pixelwise.datasets.shards.index import holds_index, read_index
from pixelwise.datasets.shards.packages import parquet
from pixelwise.datasets.shards.rows import ShardedSamples, Shards
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.containers import names_containers
from pixelwise.storage.stores.remote import RemoteStore, remote_store
from pixelwise.storage.stores.store import FolderStore

_BY_NAME = Fields()


def is_sharded(root: Path) -> bool:
    """Whether a path stands for a data set in shards, readable or not; whatever lies at an address is taken for one.

    That is a folder with our index, or one with tars or tables of other programs and no images beside; a single file
    of these; or a pattern in braces for several.
    """
    return (
        address_of(root) is not None
        or holds_index(root / INDEX)
        or names_containers(root)
        or (root.is_dir() and holds_containers(root))
    )


def open_shards(root: Path, asked: Fields = _BY_NAME, *, labelled: bool = True) -> Shards:
    """The data set in shards in a folder, at an address, or in files that are named one by one.

    Args:
        root: The folder, address, file or pattern.
        asked: Fields of images and masks in tars and tables of other programs; None for those told by their names.
        labelled: Whether masks are wanted; without them, nothing is asked about the masks of other programs' data.

    Raises:
        DataError: D222, there is no data; D270, the index is damaged; D272, the store does not answer or refuses; D273,
            a tar or table of another program cannot be read; D274, it is not clear which of their fields are meant.
        RecipeError: R240, pyarrow, or obstore for an address, is not installed.
    """
    address = address_of(root)
    if names_containers(root):
        return _of_others(root, asked, labelled)
    if address is None:
        if holds_index(root / INDEX):
            return Shards(root, FolderStore(root), read_index(root / INDEX))
        return _of_others(root, asked, labelled)
    store = remote_store(address)
    folder = fetched_index(root, store)
    if folder is None and _is_unfinished(store):
        raise DataError(
            "D222",
            f"{printable(root)}: holds shards that are not finished",
            "repeat the `pixelwise data shard` that began them: it keeps what is there",
        )
    if folder is None:
        return _of_others(root, asked, labelled)
    return Shards(root, store, read_index(folder / INDEX, shown=root / INDEX), folder)


def _is_unfinished(store: RemoteStore) -> bool:
    try:
        return store.has(UNFINISHED)
    except OSError:  # whoever lists the files says what is wrong
        return False


def _of_others(root: Path, asked: Fields, labelled: bool) -> Shards:
    parquet()  # refused now, not after the files were listed
    containers = find_containers(root)
    if containers is None:
        raise DataError(
            "D222",
            f"{printable(root)}: there is no {INDEX}, and no .tar or .parquet file",
            "make shards with `pixelwise data shard` and copy their folder there, or name a folder with tars or "
            "Parquet files",
        )
    return indexed(root, containers, asked, labelled=labelled)


def sharded_layout(root: Path, asked: Fields = _BY_NAME, *, labelled: bool = True) -> Layout:
    """The layout of the data before it was put into shards, with its samples in the tars.

    Args:
        root: See `open_shards`.
        asked: See `open_shards`.
        labelled: See `open_shards`.

    Raises:
        As `open_shards`.
    """
    return layout_of(open_shards(root, asked, labelled=labelled), root)


def layout_of(shards: Shards, root: Path) -> Layout:
    """The layout of opened shards, which somebody has named by `root`."""
    facts, splits = shards.index.facts, shards.index.splits
    number = counted(len(facts.shards), "shard")
    divided = {name for parts in facts.divisions.values() for name in parts.values()}
    own = {name: _samples(shards, rows) for name, rows in splits.items() if name not in divided}
    return Layout(
        name=facts.format,
        description=facts.description if not facts.exact else f"{facts.description}, in {number}",
        root=root,
        splits=Divided(own) if facts.divided else own,
        problems=facts.problems,
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
        described_in=shards.fetched or shards.root,
    )


def _samples(shards: Shards, rows: range) -> tuple[Sample, ...]:
    return as_tuple(ShardedSamples(shards, rows))
