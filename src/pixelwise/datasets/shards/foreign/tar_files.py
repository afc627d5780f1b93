"""Lists the members of tars by their headers: contents are passed over, not read."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.cache_kinds import TAR_MEMBERS
from pixelwise.storage.parted import PartedCache
from pixelwise.storage.stores.ahead import MOST_AT_ONCE
from pixelwise.storage.stores.store import Store
from pixelwise.storage.stores.streams import buffered

_TARS_TOGETHER = 16
"""Tars whose members are one part of the cache."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class TarMember(NamedTuple):
    """A file in a tar: its name, the position of its first byte, and the number of its bytes."""

    name: str
    offset: int
    size: int


def members_of(
    store: Store, tars: Mapping[str, str], subject: str, shown: Callable[[str], str]
) -> dict[str, list[TarMember]]:
    """The regular files in each tar, in their order; headers of tars that were read before are not read again.

    Args:
        store: The store of the tars.
        tars: Name of each tar -> what changes with its content.
        subject: What tells their folder from others.
        shown: Name of a tar -> what messages call it.

    Raises:
        DataError: D273, a tar is compressed, damaged or cannot be read.
    """
    cache = PartedCache(TAR_MEMBERS, sha256_bytes(subject.encode("utf-8", "surrogateescape"))[:20], most=_TARS_TOGETHER)

    def of_tar(name: str) -> list[TarMember]:
        key = hashlib.sha256(f"{name}\0{tars[name]}".encode("utf-8", "surrogateescape")).digest()
        known = cache.get(key)
        if known is not None:
            return [TarMember(*one) for one in msgspec.msgpack.decode(known, type=list[tuple[str, int, int]])]
        found = read_headers(store, name, shown(name))
        cache.put(key, msgspec.msgpack.encode([(_encodable(one.name), one.offset, one.size) for one in found]))
        return found

    try:
        with thread_pool(MOST_AT_ONCE if store.far else reading_threads()) as pool:
            return dict(zip(tars, pool.map(of_tar, tars), strict=True))
    finally:
        cache.save()


def read_headers(store: Store, name: str, shown: str) -> list[TarMember]:
    """The regular files in a tar.

    Args:
        store: The store of the tar.
        name: Its name there.
        shown: What messages call it.

    Raises:
        DataError: D273, it is compressed, damaged or cannot be read.
    """
    try:
        stream = buffered(store, name)
        size = stream.seek(0, 2)
        stream.seek(0)
        start = stream.read(6)
        packed = next((kind for magic, kind in _COMPRESSED.items() if start.startswith(magic)), "")
        if packed:
            raise compressed(shown, packed)
        stream.seek(0)
        with tarfile.TarFile(fileobj=stream) as opened:
            found = []
            for info in opened:
                if info.isreg() and not info.issparse():
                    found.append(TarMember(_encodable(info.name), info.offset_data, info.size))
                # Otherwise every header stays in memory.
                setattr(opened, "members", [])  # noqa: B010, the types know no such attribute
            end = opened.offset
        # `tarfile` takes a damaged header for the end.
        stream.seek(end)
        block = stream.read(tarfile.BLOCKSIZE)
        if any(block) or len(block) not in (0, tarfile.BLOCKSIZE):
            raise _unreadable(shown, f"is damaged: there is no header at byte {end}")
    except tarfile.TarError as error:
        raise _unreadable(shown, f"is damaged: {error}") from error
    except OSError as error:
        raise _unreadable(shown, f"cannot be read: {error.strerror or error}") from error
    if any(one.offset + one.size > size for one in found):
        raise _unreadable(shown, "ends before its last member does")
    return found


def compressed(shown: str, packed: str) -> DataError:
    """D273 for a tar that is compressed as a whole.

    Args:
        shown: What messages call it.
        packed: How it is compressed.
    """
    return DataError(
        "D273",
        f"{shown}: is compressed ({packed}); what lies in a compressed tar cannot be read by its position",
        "unpack the compression alone, which leaves a tar: `gunzip NAME.tar.gz`, `unxz`, `bunzip2` or `unzstd`",
    )


def _unreadable(shown: str, reason: str) -> DataError:
    return DataError("D273", f"{shown}: {reason}", "copy the file again, or leave it out")


def _encodable(name: str) -> str:
    """A name without bytes that are no text."""
    return name if name.isascii() else printable(name) if not name.isprintable() else name
