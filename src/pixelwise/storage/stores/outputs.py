"""The store to which a folder or an address stands for, and what is said when it does not work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pixelwise.errors import RecipeError, ResourceError
from pixelwise.storage.names import printable
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.remote import RemoteStore, remote_store
from pixelwise.storage.stores.store import FolderStore, OutputStore


def output_store(place: Path) -> OutputStore:
    """The store of a folder of this machine, which is made with its first file, or of an address.

    Args:
        place: The folder, or an address as `place_of` returns it.

    Raises:
        RecipeError: R240, obstore is needed for an address and is not installed; R294, it can only be read.
    """
    address = address_of(place)
    return FolderStore(place) if address is None else writable_store(address)


def writable_store(address: str) -> RemoteStore:
    """The store of an address that is written to.

    Args:
        address: The address, as `address_of` returns it.

    Raises:
        RecipeError: R240, obstore is not installed; R294, the address can only be read.
    """
    if address.startswith("hf://"):
        raise RecipeError(
            "R294",
            f"{address} is a data set of the Hugging Face hub, from which Pixelwise only reads",
            "name a folder here, and upload it afterwards: hf upload OWNER/NAME FOLDER --repo-type dataset",
        )
    return remote_store(address)


@contextlib.contextmanager
def answering(output: Path) -> Iterator[None]:
    """Context of requests to an output.

    Args:
        output: The folder or address, for the message.

    Raises:
        ResourceError: S611, it cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        if address_of(output) is not None:
            otherwise = "check the address, the network and what the credentials allow"
            help = f"{way_out(error, otherwise)}; the same command then goes on"
        else:
            help = "check the permissions of the folder, or choose another `output`"
        reason = error.strerror or str(error)
        raise ResourceError("S611", f"{printable(output)}: the output does not work: {reason}", help) from None
