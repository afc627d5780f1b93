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

_EXAMPLES = {
    "s3": "s3://BUCKET/FOLDER",
    "gs": "gs://BUCKET/FOLDER",
    "az": "az://CONTAINER/FOLDER",
    "https": "https://HOST/FOLDER",
    "http": "http://HOST/FOLDER",
    "hf": "hf://datasets/OWNER/NAME",
}
_ELSEWHERE = {"gcs": "gs", "s3a": "s3", "s3n": "s3"} | dict.fromkeys(("abfs", "abfss", "wasb", "wasbs", "azure"), "az")
"""What begins an address in other programs -> what begins it here."""
SCHEMES = tuple(_EXAMPLES)
"""What an address may begin with."""
_KNOWN = "|".join(SCHEMES)
# Paths keep one of the two slashes.
_ADDRESS = re.compile(rf"({_KNOWN}):/{{1,2}}(?=[^/])(.*)", re.DOTALL | re.IGNORECASE)
# One letter is a drive. As a path, an address without a name has lost both slashes.
_LIKE_ONE = re.compile(rf"([a-z][a-z0-9+.-]+:(?=/)|(?:{_KNOWN}):$)/*(.*)", re.DOTALL | re.IGNORECASE)

_given: dict[str, str] = {}
"""Address -> the same address with what gives access, as it was given."""


def address_of(place: str | os.PathLike[str]) -> str | None:
    """The address that a path or text stands for, without what gives access; None for a place on this machine.

    Raises:
        RecipeError: R298, it looks like an address, but is none of those that can be opened.
    """
    found = _match(place)
    return None if found is None else _public(f"{found[1].lower()}://{found[2]}")


def require_local(place: str | os.PathLike[str]) -> None:
    """Refuse to write to an address as if it were a folder, which would be one named `s3:` on this machine.

    Raises:
        RecipeError: R294, it is an address; R298, it looks like one.
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
    """The path of a folder or of an address as somebody gave it; what gives access is remembered, not in the path.

    Raises:
        RecipeError: R298, it looks like an address, but is none of those that can be opened.
    """
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
    text = os.fspath(place).replace("\\", "/")
    found = _ADDRESS.fullmatch(text)
    if found is None and (like := _LIKE_ONE.fullmatch(text)) is not None and not os.path.lexists(like[1]):
        raise _not_opened(like[1][:-1].lower(), like[2])
    return found


def _not_opened(scheme: str, rest: str) -> RecipeError:
    """The error for what would otherwise become a folder named `ftp:` on this machine."""
    if scheme in SCHEMES:
        return RecipeError("R298", f"{scheme}:// is an address without a name", f"write {_EXAMPLES[scheme]}")
    shown = _public(f"{scheme}://{rest}")
    if scheme == "hub":
        help = "it names a run; data are read from hf://datasets/OWNER/NAME, and files are written to folders here"
    elif scheme == "file":
        shown, help = f"file:///{rest}", "write the path itself, without file://"
    elif scheme in _ELSEWHERE:
        help = _as_here(_ELSEWHERE[scheme], rest)
    else:
        help = "copy the files to a folder or to one of these, and name that"
    expected = ", ".join(f"{one}://" for one in SCHEMES)
    return RecipeError("R298", f"{shown} is not an address that can be opened; expected {expected}", help)


def _as_here(scheme: str, rest: str) -> str:
    """How an address of another program is written here; Hadoop's addresses of Azure hold the account as well."""
    parts = urlsplit(f"{scheme}://{rest}")
    container, _, host = parts.netloc.rpartition("@")
    if scheme != "az" or not container or ":" in container:
        return f"write {_public(parts.geturl())}"
    address = urlunsplit((scheme, container, parts.path.rstrip("/"), "", ""))
    return f"write {address}, and set AZURE_STORAGE_ACCOUNT_NAME={host.partition('.')[0]}"


def _public(address: str) -> str:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
