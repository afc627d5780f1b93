"""Addresses of object stores and servers, such as `s3://bucket/photos`, where a folder is expected.

An address is kept as a path, so that whoever handles folders handles addresses too. What gives access, a signed query
or a password, is taken out of it at once and kept in the memory of the process alone: no path, message or file has it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pixelwise.errors import RecipeError

SCHEMES = ("s3", "gs", "az", "https", "http", "hf")
"""What an address may begin with."""
# Paths keep one of the two slashes.
_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?=[^/])(.*)", re.DOTALL | re.IGNORECASE)

_given: dict[str, str] = {}
"""Address -> the same address with what gives access, as it was given."""


def address_of(place: str | os.PathLike[str]) -> str | None:
    """The address that a path or text stands for, without what gives access; None for a place on this machine."""
    found = _match(place)
    return None if found is None else _public(f"{found[1].lower()}://{found[2]}")


def require_local(place: str | os.PathLike[str]) -> None:
    """Refuse to write to an address as if it were a folder, which would be one named `s3:` on this machine.

    Raises:
        RecipeError: R294, it is an address.
    """
    address = address_of(place)
    if address is not None:
        raise RecipeError(
            "R294",
            f"{address} is an address, but this is written to folders of this computer alone",
            "name a folder here, and copy it there afterwards; `predict`, `evaluate` and `data shard` write to "
            "addresses themselves",
        )


def place_of(given: str | os.PathLike[str]) -> Path:
    """The path of a folder or of an address as somebody gave it; what gives access is remembered, not in the path."""
    found = _match(given)
    if found is None:
        return Path(given)
    whole = f"{found[1].lower()}://{found[2]}"
    address = _public(whole)
    parts = urlsplit(whole)
    if parts.query or "@" in parts.netloc:
        _given[address] = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))
    return Path(address)


def with_access(address: str) -> str:
    """The address as it was given to this process, with what gives access; never to be written or shown."""
    return _given.get(address, address)


def above(place: Path, levels: int) -> Path:
    """The folder some levels above a folder or an address; what gives access to the one gives access to the other."""
    address = address_of(place)
    if address is None:
        return place.parents[levels - 1]
    parts = urlsplit(with_access(address))
    path = "/".join(parts.path.split("/")[:-levels])
    return place_of(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


def recorded(place: Path) -> str:
    """A folder or an address as files record it: absolute, without what gives access."""
    return address_of(place) or str(place.resolve())


def _match(place: str | os.PathLike[str]) -> re.Match[str] | None:
    return _ADDRESS.fullmatch(os.fspath(place).replace("\\", "/"))


def _public(address: str) -> str:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
