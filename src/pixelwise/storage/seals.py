"""Checksums by which damaged entries of the cache are recognised: of a value, and of all files of a folder."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.storage.atomic import TEMPORARY_PREFIX
from pixelwise.storage.documents import DocumentError, read_document
from pixelwise.storage.hashing import sha256_bytes
from pixelwise.storage.json_text import json_text
from pixelwise.storage.locks import LOCK

SEAL = ".pixelwise-seal"
"""Name of the file in a folder that holds the size and the checksum of all others."""
_DIGEST_BYTES = 32
_BLOCK = 1 << 20


class _SealedValue(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    value: Any


def sealed_bytes(content: bytes) -> bytes:
    """`content` behind its SHA-256."""
    return hashlib.sha256(content).digest() + content


def unsealed_bytes(data: bytes) -> bytes:
    """The content in the result of `sealed_bytes`.

    Raises:
        ValueError: It is not what was sealed.
    """
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("the content does not match its checksum")
    return content


def sealed_json(value: Any) -> str:
    """JSON text of `value` and its SHA-256, with sorted keys."""
    return json_text(_SealedValue(_digest(value), value), order="sorted")


def unsealed_json(data: bytes) -> bytes:
    """JSON of the value in the result of `sealed_json`.

    Raises:
        ValueError: It is not what was sealed.
    """
    sealed = msgspec.json.decode(data, type=_SealedValue)
    if _digest(sealed.value) != sealed.sha256:
        raise ValueError("the value does not match its checksum")
    return msgspec.json.encode(sealed.value)


def seal(folder: Path) -> None:
    """Write the size and the CRC-32 of every file in a complete folder to `SEAL`, which is not changed afterwards."""
    facts = {os.fsencode(name): _facts_of(folder / name) for name in _files(folder)}
    (folder / SEAL).write_bytes(sealed_bytes(msgspec.msgpack.encode(facts)))


def is_intact(folder: Path, *, sizes_only: bool = False) -> bool:
    """Whether a folder has exactly the files, with the content, that it had when it was sealed.

    Args:
        folder: Folder on which `seal` was called.
        sizes_only: Compare the names and the sizes without reading the files.
    """
    try:
        sealed = msgspec.msgpack.decode(unsealed_bytes(read_document(folder / SEAL)), type=dict[bytes, tuple[int, int]])
        names = {os.fsencode(name): name for name in _files(folder)}
        # The sizes first: they tell most damage without reading anything.
        return (
            names.keys() == sealed.keys()
            and all((folder / names[name]).stat().st_size == size for name, (size, _) in sealed.items())
            and (sizes_only or all(_facts_of(folder / names[name]) == facts for name, facts in sealed.items()))
        )
    except (OSError, ValueError, DocumentError, msgspec.MsgspecError):
        return False


def _files(folder: Path) -> Iterator[str]:
    """Paths of the files in a folder, relative to it, without those that come and go while it is in use."""
    for parent, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            relative = os.path.relpath(os.path.join(parent, name), folder)
            if relative not in (SEAL, LOCK) and not name.startswith(TEMPORARY_PREFIX):
                yield relative


def _facts_of(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a regular file.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    if not path.is_file():  # opening a named pipe would block forever
        raise OSError(f"{path} is not a file")
    size = checksum = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return size, checksum


def _digest(value: Any) -> str:
    return sha256_bytes(msgspec.json.encode(value, order="sorted"))


def _raise(error: OSError) -> None:
    raise error
