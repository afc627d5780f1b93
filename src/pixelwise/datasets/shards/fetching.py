"""Fetches the index of data in shards from its store, once for every version of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.shards.facts import INDEX
from pixelwise.datasets.shards.index import read_index
from pixelwise.errors import DataError
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.cache_kinds import SHARD_INDEX
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, subject_of
from pixelwise.storage.stores.ahead import Range, read_several
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.remote import RemoteStore

_PART, _AT_ONCE = 8 * 1024**2, 8
"""Bytes of a request, and number of requests at the same time."""
LARGEST = 64 * 1024**3
"""Largest index that is fetched, in bytes: that of some hundred million images."""


def fetched_index(root: Path, store: RemoteStore) -> Path | None:
    """A folder of the cache with the present index of an address, and the `dataset.toml` that it holds.

    None if there is no index.

    Args:
        root: The address.
        store: Its store.

    Raises:
        DataError: D270, it is damaged or too large; D272, the store does not answer or refuses.
        ResourceError: S601, the disk of the cache folder is full.
    """
    shown = root / INDEX
    try:
        version = store.version(INDEX)
        if version.size > LARGEST:
            raise DataError(
                "D270", f"{printable(shown)}: {version.size} bytes are too many for an index", "name another"
            )
        subject = subject_of(printable(root))
        # Without a mark nobody knows whether the index is still the same.
        mark = version.mark or sha256_bytes(b"".join(_parts(store, version.size)))
        key = sha256_bytes(msgspec.json.encode((printable(root), version.size, mark)))[:24]
        folder = entry_path(SHARD_INDEX, key, subject=subject)
        if not intact_entry(folder):
            with building_entry(SHARD_INDEX, folder, subject=subject, needed_bytes=version.size) as unfinished:
                with open(unfinished / INDEX, "wb") as file:
                    for part in _parts(store, version.size):
                        file.write(part)
                toml = read_index(unfinished / INDEX, shown=shown).facts.dataset_toml
                if toml is not None:
                    (unfinished / DESCRIPTION_FILE).write_bytes(toml.encode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            "D272",
            f"{printable(shown)}: cannot be read: {error.strerror or error}",
            way_out(error, "check the address and the network"),
        ) from error
    return folder


def _parts(store: RemoteStore, size: int) -> Iterator[bytes]:
    """The content, several parts at a time."""
    starts = range(0, size, _PART)
    for first in range(0, len(starts), _AT_ONCE):
        yield from read_several(
            [Range(store, INDEX, start, min(_PART, size - start)) for start in starts[first : first + _AT_ONCE]]
        )
