"""Images that lie at an address one by one, for prediction: their files are read when they are needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.shards.facts import INDEX
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import above, address_of
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.containers import compression_of, container_kind, names_containers
from pixelwise.storage.stores.members import Member, Place
from pixelwise.storage.stores.remote import RemoteStore, Version, remote_store
from pixelwise.storage.stores.versions import Versions


def is_image_address(place: Path) -> bool:
    """Whether a path is the address of one image, by its extension."""
    return address_of(place) is not None and place.suffix.lower() in SUFFIXES


def image_at(place: Path) -> Member:
    """The image at an address.

    Raises:
        DataError: D223, there is none; D272, the store does not answer or refuses.
        RecipeError: R240, obstore is not installed.
    """
    base = above(place, 1)
    try:
        store = remote_store(address_of(base) or "")
        return _member(base, store, place.name, store.version(place.name), Versions())
    except FileNotFoundError as error:
        raise DataError("D223", f"{printable(place)}: no such file", "check the spelling") from error
    except OSError as error:
        raise _unanswered(place, error) from error


def images_below(place: Path) -> list[Member] | None:
    """The images below an address, sorted; None if the data there is in shards, tars or tables, or there are no images.

    Raises:
        DataError: D272, the store does not answer or refuses.
        RecipeError: R240, obstore is not installed.
    """
    address = address_of(place)
    # Web servers do not list their files.
    if address is None or address.startswith("http") or names_containers(place):
        return None
    store = remote_store(address)
    try:
        versions = {
            name: version
            for name, version in store.versions("").items()
            if not any(is_hidden(part) for part in name.split("/"))
        }
    except OSError as error:
        raise _unanswered(place, error) from error
    if INDEX in versions or any(container_kind(name) or compression_of(name) for name in versions):
        return None
    names = sorted(name for name in versions if Path(name).suffix.lower() in SUFFIXES)
    read = Versions()
    return [_member(place, store, name, versions[name], read) for name in names] or None


def _member(base: Path, store: RemoteStore, name: str, version: Version, read: Versions) -> Member:
    mark = hashlib.sha256(repr((name, *version)).encode("utf-8", "surrogateescape")).digest()
    return Member(base / name, Place(store, name, 0, version.size, mark, 0, version.size, False, read))


def _unanswered(place: Path, error: OSError) -> DataError:
    return DataError(
        "D272",
        f"{printable(place)}: cannot be read: {error.strerror or error}",
        way_out(error, "check the address and the network"),
    )
