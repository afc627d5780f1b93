"""Makes an index of tars and tables of other programs, once for every version of them, and opens them by it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.samples import Sample
from pixelwise.datasets.shards.facts import INDEX, Facts, Shard
from pixelwise.datasets.shards.foreign import tables, webdataset
from pixelwise.datasets.shards.foreign.cells import CellStore
from pixelwise.datasets.shards.foreign.containers import Containers
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.datasets.shards.foreign.matching import Matched, matched, splits_of
from pixelwise.datasets.shards.index import IndexWriter, Placed, Row, read_index
from pixelwise.datasets.shards.rows import Shards
from pixelwise.errors import DataError
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.cache_kinds import SHARD_INDEX
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, subject_of
from pixelwise.storage.names import counted
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.containers import WORDS
from pixelwise.storage.stores.store import Store

_VERSION = 1
"""Version of what is made of the same files; a later one makes the indexes anew."""
_LARGEST_TOML = 4 * 1024**2


class _Contents(NamedTuple):
    """What an index is made of: samples, in words, tar or table -> its size, and the columns of tables."""

    samples: Matched
    in_words: str
    sizes: dict[str, int]
    columns: tuple[str, ...]


def indexed(root: Path, containers: Containers, asked: Fields, *, labelled: bool) -> Shards:
    """Open tars or tables of other programs; only the index is read if it was made before.

    Args:
        root: The folder, address or pattern that was given.
        containers: What it stands for.
        asked: Fields of images and masks that somebody named.
        labelled: Whether masks are wanted; otherwise every image is a sample.

    Raises:
        DataError: D222, there are no samples; D272, the store does not answer or refuses; D273, a file cannot be read;
            D274, it is not clear which fields are the images or the masks.
        RecipeError: R240, pyarrow is not installed.
        ResourceError: S601, the disk of the cache folder is full.
    """
    store: Store = containers.store if containers.kind == "tar" else CellStore(containers.store, containers.kind)
    subject = subject_of(printable(root), *map(str, asked), labelled)
    marks = [(name, *version) for name, version in containers.versions.items()]
    state = (_VERSION, printable(root), asked, labelled, containers.kind, marks, containers.description)
    folder = entry_path(SHARD_INDEX, sha256_bytes(msgspec.json.encode(state))[:24], subject=subject)
    if not intact_entry(folder):
        contents = _contents(containers, store, asked, labelled=labelled)
        if not any(contents.samples.splits.values()):
            raise _nothing(root, containers, contents)
        with building_entry(SHARD_INDEX, folder, subject=subject) as unfinished:
            toml = _description(containers)
            if toml is not None:
                (unfinished / DESCRIPTION_FILE).write_bytes(toml)
            _write(unfinished / INDEX, containers, contents, labelled=labelled)
    index = read_index(folder / INDEX, shown=containers.base / INDEX)
    return Shards(containers.base, store, index, folder if store.far else None)


def _contents(containers: Containers, store: Store, asked: Fields, *, labelled: bool) -> _Contents:
    splits, problems = splits_of(list(containers.versions), containers.base)
    if isinstance(store, CellStore):
        found = tables.pictures_of(containers, store, splits, asked, labelled=labelled)
        pictures, sizes, columns = found.pictures, found.rows, found.columns
        words = f"{WORDS[containers.kind]} with {found.chosen.in_words}, named by {found.named_by}"
    else:
        pictures, chosen = webdataset.pictures_of(containers, splits, asked, labelled=labelled)
        sizes, columns = {name: containers.versions[name].size for name in splits}, ()
        words = f"tars of {chosen.in_words}"
    samples = matched(pictures, splits, containers.base, labelled=labelled, problems=problems)
    return _Contents(samples, f"{words}, in {counted(len(splits), 'file')}", sizes, columns)


def _nothing(root: Path, containers: Containers, contents: _Contents) -> DataError:
    said = contents.samples.problems
    reason = f": {said[0].message}" if said else ""
    return DataError(
        "D222",
        f"{printable(root)}: no images with masks found in {counted(len(containers.versions), 'file')}{reason}",
        said[0].fix if said else "docs/data.md says how images and masks are named",
    )


def _description(containers: Containers) -> bytes | None:
    """The `dataset.toml` beside the files of another machine; None if there is none."""
    if not containers.description or not containers.store.far:
        return None
    with contextlib.suppress(FileNotFoundError):
        try:
            size = min(containers.store.size(DESCRIPTION_FILE), _LARGEST_TOML)
            return containers.store.read(DESCRIPTION_FILE, 0, size)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DataError(
                "D272",
                f"{containers.shown(DESCRIPTION_FILE)}: cannot be read: {error.strerror or error}",
                way_out(error, "check the address and the network"),
            ) from error
    return None


def _write(path: Path, containers: Containers, contents: _Contents, *, labelled: bool) -> None:
    roles = ("mask",) if labelled else ()
    writer = IndexWriter(path, roles, 0)
    numbers = {name: number for number, name in enumerate(contents.sizes)}
    try:
        for row in _rows(containers, contents, numbers, labelled=labelled):
            writer.add(row)
        writer.close(
            Facts(
                format="folder",
                description=contents.in_words,
                masks=roles,
                number_of_classes=0,
                shards=tuple(Shard(name, size) for name, size in contents.sizes.items()),
                divided=isinstance(contents.samples.splits, Divided),
                container=containers.kind,
                exact=False,
                columns=contents.columns,
                problems=contents.samples.problems,
            )
        )
    except BaseException:
        with contextlib.suppress(Exception):  # the first error matters
            writer.abandon()
        raise


def _rows(containers: Containers, contents: _Contents, numbers: dict[str, int], *, labelled: bool) -> Iterator[Row]:
    for split, samples in contents.samples.splits.items():
        for sample in samples:
            container, image = contents.samples.places[sample.image_path]
            files = [_marked(containers, container, image, contents)]
            if labelled:
                files.append(_of_mask(containers, contents, sample, container))
            yield Row(split, sample.id, numbers[container], tuple(files), (0, 0), (0,))


def _of_mask(containers: Containers, contents: _Contents, sample: Sample, container: str) -> Placed:
    if sample.mask_path is None:
        raise AssertionError  # only pairs are samples
    other, mask = contents.samples.places[sample.mask_path]
    if other != container:
        raise DataError(
            "D273",
            f"{printable(sample.mask_path)}: lies in another tar than its image, {printable(sample.image_path)}",
            "make tars in which the members of a sample follow each other",
        )
    return _marked(containers, container, mask, contents)


def _marked(containers: Containers, container: str, placed: Placed, contents: _Contents) -> Placed:
    """The place with a hash of itself and the version of its container in the place of the content's."""
    column = "" if not contents.columns else placed.name
    state = (container, *containers.versions[container], placed.offset, placed.size, column)
    return placed._replace(sha256=hashlib.sha256(repr(state).encode("utf-8", "surrogateescape")).digest())
