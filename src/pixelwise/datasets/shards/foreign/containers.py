"""Finds the tars and tables of other programs in a folder, at an address, or as they are named one by one.

s3://bucket/photos                               all tars, or all Parquet files, below it
photos/train.tar   https://host/x.parquet        one file
s3://bucket/{train,val}-{000000..000099}.tar     those that a pattern in braces stands for
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.shards.facts import INDEX
from pixelwise.datasets.shards.foreign.tar_files import compressed
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.names import some
from pixelwise.storage.stores.addresses import above, address_of
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.braces import expanded, has_braces
from pixelwise.storage.stores.containers import WORDS, compression_of, container_kind, names_containers
from pixelwise.storage.stores.remote import RemoteStore, Version, remote_store
from pixelwise.storage.stores.store import FolderStore

_DEEPEST = 4
# What `datasets` keeps of its own beside saved data.
_CACHED = re.compile(r"(.*/)?(cache|tmp)[^/]*\.arrow").fullmatch
# Folders between the data set and its files that do not stand for a data set of their own.
_SAY_NOTHING = {"data", "default", "dataset"}


class Containers(NamedTuple):
    """Tars, or tables, with the images of a data set.

    Attributes:
        kind: `tar`, `parquet` or `arrow`.
        base: The folder or address below which their names are.
        store: The store of `base`.
        versions: Name of each file, with `/` between folders -> its size and what changes with its content; sorted.
        description: What changes with the `dataset.toml` beside them; empty if there is none.
    """

    kind: str
    base: Path
    store: FolderStore | RemoteStore
    versions: dict[str, Version]
    description: str

    def shown(self, name: str) -> str:
        """What messages call a file."""
        return printable(self.base / name)


def holds_containers(folder: Path) -> bool:
    """Whether a folder of this machine holds tars or tables, and no images beside: these are the data then."""
    return next(_files_of(folder), None) is not None


def find_containers(root: Path) -> Containers | None:
    """The tars or tables that a path or address stands for; None if a folder holds none.

    Raises:
        DataError: D222, a file is missing, or there are files of several kinds or data sets; D272, the store cannot
            list its files; D273, the tars are compressed.
        RecipeError: R240, obstore is needed for an address and is not installed.
    """
    address = address_of(root)
    if address is not None and address.startswith("http") and not names_containers(root):
        raise DataError(
            "D222",
            f"{printable(root)}: there is no {INDEX}, and web servers do not list other files",
            "make shards with `pixelwise data shard` and copy their folder there, or name tars or Parquet files by a "
            f"pattern, such as '{printable(root)}/train-{{000000..000009}}.tar'",
        )
    try:
        if names_containers(root):
            base, names = _named(root)
            store = FolderStore(base) if address is None else remote_store(address_of(base) or "")
            versions = {name: _version(store, base, name) for name in names}
        elif address is None:
            base, store = root, FolderStore(root)
            versions = {name: _version(store, base, name) for name in _files_of(root)}
        else:
            base, store = root, remote_store(address)
            versions = {name: one for name, one in store.versions("").items() if not _is_hidden(name)}
        return _containers(root, base, store, versions)
    except FileNotFoundError as error:
        raise DataError(
            "D222",
            f"{printable(root)}: {printable(str(error.filename or error.strerror))}: does not exist",
            "name files that exist",
        ) from error
    except OSError as error:
        raise DataError(
            "D272",
            f"{printable(root)}: {error.strerror or error}",
            way_out(error, "check the address and the network"),
        ) from error


def _containers(
    root: Path, base: Path, store: FolderStore | RemoteStore, versions: dict[str, Version]
) -> Containers | None:
    found = {name: one for name, one in sorted(versions.items()) if container_kind(name) and not _CACHED(name)}
    kinds = sorted({container_kind(name) or "" for name in found})
    if not found:
        packed = next((name for name in sorted(versions) if compression_of(name)), None)
        if packed is not None:
            raise compressed(printable(base / packed), compression_of(packed))
        return None
    if len(kinds) > 1:
        raise DataError(
            "D222",
            f"{printable(root)}: holds {' and '.join(WORDS[kind] for kind in kinds)}",
            "name the files of one kind by a pattern in braces, such as 'train-{000000..000009}.tar', or their folder",
        )
    if kinds != ["tar"]:
        _refuse_several(root, list(found))
    return Containers(kinds[0], base, store, found, _described(store, base, versions))


def _named(root: Path) -> tuple[Path, list[str]]:
    """The folder of files that are named one by one, and their names below it."""
    parts = list(root.parts)
    first = next((place for place, part in enumerate(parts) if has_braces(part)), len(parts) - 1)
    first = min(first, len(parts) - 1)
    pattern = "/".join(parts[first:])
    try:
        names = expanded(pattern)
    except ValueError as error:
        raise DataError("D222", f"{printable(root)}: {error}", "name fewer files") from error
    return above(root, len(parts) - first), list(dict.fromkeys(names))


def _version(store: FolderStore | RemoteStore, base: Path, name: str) -> Version:
    if isinstance(store, RemoteStore):
        try:
            return store.version(name)
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, error.strerror, printable(base / name)) from error
    facts = (base / name).stat()
    return Version(facts.st_size, str(facts.st_mtime_ns))


def _described(store: FolderStore | RemoteStore, base: Path, versions: Mapping[str, Version]) -> str:
    """The state of the `dataset.toml` beside the files, as text; a server that refuses to answer has none."""
    if DESCRIPTION_FILE in versions:
        return repr(versions[DESCRIPTION_FILE])
    try:
        return repr(_version(store, base, DESCRIPTION_FILE))
    except FileNotFoundError:
        return ""


def _files_of(folder: Path) -> Iterator[str]:
    """The tars and tables below a folder, compressed ones too; nothing if an image lies among them."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        below = os.path.relpath(place, folder).replace(os.sep, "/")
        parts = [] if below == "." else below.split("/")
        folders[:] = [] if len(parts) >= _DEEPEST else sorted(name for name in folders if not is_hidden(name))
        for name in names:
            if os.path.splitext(name)[1].lower() in SUFFIXES and not is_hidden(name):
                return
            if (container_kind(name) is not None or compression_of(name)) and not is_hidden(name):
                found.append("/".join([*parts, name]))
    yield from sorted(found)


def _is_hidden(name: str) -> bool:
    return any(is_hidden(part) for part in name.split("/"))


def _refuse_several(root: Path, names: Sequence[str]) -> None:
    """Refuse tables in folders that are data sets of their own, such as the configurations of a data set of the hub."""
    folders = {
        "/".join(part for part in name.split("/")[:-1] if part.lower() not in (*SPLIT_NAMES, *_SAY_NOTHING)): None
        for name in names
    }
    if len(folders) > 1:
        shown = [printable(root / one) for one in folders]
        raise DataError(
            "D222",
            f"{printable(root)}: holds {len(shown)} data sets: {some(shown)}",
            f"name one of them, for example {shown[-1]}",
        )
