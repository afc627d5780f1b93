"""The store to which a folder or an address stands for."""

from __future__ import annotations

from pathlib import Path

from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.remote import remote_store
from pixelwise.storage.stores.store import FolderStore, OutputStore


def output_store(place: Path) -> OutputStore:
    """The store of a folder of this machine, which is made with its first file, or of an address.

    Args:
        place: The folder, or an address as `place_of` returns it.

    Raises:
        RecipeError: R240, obstore is needed for an address and is not installed.
    """
    address = address_of(place)
    return FolderStore(place) if address is None else remote_store(address)
