"""The user's cache folder: what can be computed again, and never beside the user's data.

Everything in it is an entry of a `CacheKind`. An entry is found by the hash of everything that it depends on, so what
is found is right; one that is damaged counts as missing. Where a kind also says what its entries are about (the
subject), writing one removes those that it supersedes: of the same subject in an earlier state, or of an older version.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from pixelwise.errors import ResourceError
from pixelwise.machine.files import MOVES_OPEN_FILES
from pixelwise.storage.atomic import TEMPORARY_PREFIX, building_folder, remove_folder, write_bytes
from pixelwise.storage.cache_kinds import KINDS, CacheKind, EntryName
from pixelwise.storage.hashing import sha256_bytes
from pixelwise.storage.json_text import json_text
from pixelwise.storage.locks import LOCK, keep_in_use, lock_if_free, shared_lock, stop_using
from pixelwise.storage.names import printable

T = TypeVar("T")

_RECENT_SECONDS = 3600.0
"""Temporary files and folders that changed since may still be written."""


class Found(NamedTuple):
    """Something in the cache folder.

    Attributes:
        path: Where it lies.
        kind: None for what no kind knows.
        name: What its name says; None for what no kind knows.
    """

    path: Path
    kind: CacheKind | None = None
    name: EntryName | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a process writes it, or was killed before it was whole."""
        return self.path.name.startswith(TEMPORARY_PREFIX)


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/pixelwise`, or `~/.cache/pixelwise`; created readable by its owner only.

    Raises:
        ResourceError: S606, it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "pixelwise"
    with _unwritable_explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _unwritable_explained(folder: Path) -> Iterator[None]:
    """Turn a lack of permission into S606."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        raise ResourceError(
            "S606",
            f"{printable(folder)}: the cache folder cannot be written ({error.strerror})",
            "point the environment variable XDG_CACHE_HOME to a folder of your own",
        ) from error


def subject_of(*facts: object) -> str:
    """The subject of entries that are about the same thing in whatever state, as their names say it.

    Args:
        facts: What says which thing that is: JSON types, structs and paths.
    """
    return sha256_bytes(msgspec.json.encode(facts, enc_hook=lambda path: list(os.fsencode(path))))[:16]


def entry_path(kind: CacheKind, key: str = "", *, variant: str = "", subject: str = "") -> Path:
    """Where an entry lies: the one that is there, whatever its subject, else where a new one goes.

    Args:
        kind: The kind of the entry.
        key: Hexadecimal hash of everything that the content depends on.
        variant: The variant, for kinds that have some.
        subject: As `subject_of` gives it; empty where nothing supersedes the entry.
    """
    folder = cache_folder()
    wanted = folder / kind.entry_name(key, variant=variant, subject=subject)
    if not subject or wanted.exists():
        return wanted
    plain = folder / kind.entry_name(key, variant=variant)
    others = plain.parent.glob(f"{plain.name.removesuffix(kind.suffix)}@*{kind.suffix}")
    return next((path for path in (plain, *sorted(others)) if path.exists()), wanted)


def recall(kind: CacheKind, key: str, result_type: type[T], *, subject: str = "") -> T | None:
    """What a file of the cache holds; None where there is none or it is damaged.

    Args:
        kind: A kind whose entries are files.
        key: As for `entry_path`.
        result_type: The type of what it holds.
        subject: As for `entry_path`.

    Raises:
        ResourceError: S606, the cache folder cannot be made, for permanent kinds.
        OSError: The file cannot be read, for permanent kinds.
    """
    decode = msgspec.json.decode if kind.suffix == ".json" else msgspec.msgpack.decode
    try:
        return decode(entry_path(kind, key, subject=subject).read_bytes(), type=result_type)
    except (OSError, ResourceError, msgspec.DecodeError) as error:
        # A missing or damaged entry costs time, never an error; but what cannot be computed again is not written over
        # because it could not be read this time.
        if kind.permanent and not isinstance(error, FileNotFoundError | msgspec.DecodeError):
            raise
        return None


def remember(kind: CacheKind, key: str, value: Any, *, subject: str = "") -> None:
    """Write a file of the cache, and remove those that it supersedes.

    A cache that cannot be written costs time, never an error.

    Args:
        kind: A kind whose entries are files.
        key: As for `entry_path`.
        value: What it is to hold.
        subject: As for `entry_path`.

    Raises:
        ResourceError: S601, the disk is full, for permanent kinds.
        OSError: The folder cannot be written, for permanent kinds.
    """
    as_json = kind.suffix == ".json"
    data = json_text(value, order="sorted").encode() if as_json else msgspec.msgpack.encode(value)
    try:
        path = entry_path(kind, key, subject=subject)
        write_bytes(path, data)
        drop_superseded(kind, path, subject=subject)
    except (OSError, ResourceError):
        if kind.permanent:
            raise


def remembered(
    kind: CacheKind,
    key: str,
    result_type: type[T],
    compute: Callable[[], T],
    *,
    subject: str = "",
    fresh: bool = False,
    keep: Callable[[T], bool] = lambda value: True,
) -> T:
    """The value that was computed before, else that of `compute`, which is kept.

    Args:
        kind: A kind whose entries are files.
        key: As for `entry_path`.
        result_type: The type of the value.
        compute: Called where nothing was kept, or it is damaged.
        subject: As for `entry_path`.
        fresh: Compute it again in any case.
        keep: Whether a value is worth keeping.
    """
    known = None if fresh else recall(kind, key, result_type, subject=subject)
    if known is not None:
        return known
    value = compute()
    if keep(value):
        remember(kind, key, value, subject=subject)
    return value


@contextlib.contextmanager
def building_entry(
    kind: CacheKind, path: Path, *, variant: str = "", subject: str = "", needed_bytes: int | None = None
) -> Iterator[Path]:
    """Give a temporary folder that becomes an entry of the cache when the block succeeds, and is in use from then on.

    One that another process finished in the meantime stays. What the new one supersedes is removed.

    Args:
        kind: A kind whose entries are folders.
        path: What `entry_path` gave. An entry that is there already is damaged, and replaced.
        variant: As for `entry_path`.
        subject: As for `entry_path`.
        needed_bytes: How much it takes, where that is known.

    Raises:
        ResourceError: S601, the disk of the cache folder is full; S606, it cannot be written.
    """
    existing = "replace" if path.exists() else "keep"
    lock = None
    if not MOVES_OPEN_FILES:
        stop_using(path)  # a damaged entry cannot be renamed away while this process has its lock open
    try:
        with (
            _unwritable_explained(path.parent),
            building_folder(path, existing=existing, needed_bytes=needed_bytes) as folder,
        ):
            if MOVES_OPEN_FILES:
                # The lock moves with the folder: there is no moment at which it could be cleared away.
                lock = shared_lock(folder, new=True)
            yield folder
        keep_in_use(path)
    finally:
        if lock is not None:
            lock.release()
    drop_superseded(kind, path, variant=variant, subject=subject)


def found_in_cache() -> list[Found]:
    """Everything in the cache folder, by name; the folders that hold the entries of one kind are looked into."""
    folder = cache_folder()
    shared = {kind.prefix.partition("/")[0] for kind in KINDS if "/" in kind.prefix}
    found = []
    for child in sorted(folder.iterdir()):
        if child.name in shared and child.is_dir() and not child.is_symlink():
            found += [_found(path, f"{child.name}/{path.name}") for path in sorted(child.iterdir())]
        else:
            found.append(_found(child, child.name))
    return found


def _found(path: Path, relative: str) -> Found:
    for kind in KINDS:
        name = kind.parse(relative)
        if name is not None and (path.is_symlink() or path.is_dir() == kind.folders):
            return Found(path, kind, name)
    return Found(path)


def drop_superseded(kind: CacheKind, kept: Path, *, variant: str = "", subject: str = "") -> None:
    """Remove the entries that a new one supersedes, unless a process uses them, and what killed processes left.

    Args:
        kind: The kind of the new entry.
        kept: Where the new entry lies.
        variant: The variant of the new entry.
        subject: The subject of the new entry; empty where only older versions are superseded.
    """
    with contextlib.suppress(OSError):
        for one in found_in_cache():
            if one.unfinished or (one.path != kept and _is_superseded(one, kind, variant, subject)):
                remove(one)


def _is_superseded(one: Found, kind: CacheKind, variant: str, subject: str) -> bool:
    if one.kind is not kind or one.name is None:
        return False
    same_subject = bool(subject) and (one.name.variant, one.name.subject) == (variant, subject)
    return same_subject or one.name.version < kind.version


def remove(found: Found) -> str:
    """Remove something from the cache folder, unless that would harm; links are not followed.

    Returns:
        Why it was left, in words; empty where it is gone.
    """
    path = found.path
    if path.is_symlink():
        return "is a link, which is not followed"
    if found.unfinished and not (path / LOCK).exists() and _is_recent(path):
        return "may still be written by another process"
    try:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return ""
        with lock_if_free(path) as free:
            if not free:
                return "is in use by a process"
            if MOVES_OPEN_FILES:
                remove_folder(path)
                return ""
        # The lock lies in the folder, which cannot be renamed while this process, or another one, has it open.
        remove_folder(path)
    except FileNotFoundError:
        return ""  # another process clears it
    except OSError as error:
        return f"cannot be removed: {error.strerror}"
    return ""


def _is_recent(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime < _RECENT_SECONDS
    except OSError:
        return False
