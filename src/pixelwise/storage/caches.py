"""The user's cache folder, which holds results that can be computed again; nothing is cached beside the user's data.

Everything in it is an entry of a `CacheKind`. An entry is looked up by the hash of everything that it depends on, so a
found entry is always valid; a damaged one counts as missing. Writing an entry removes those that it supersedes: entries
about the same thing (the subject, if the name has one) in an earlier state, and entries of an older version.
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
from pixelwise.storage.documents import DocumentError, parse_json, parse_msgpack
from pixelwise.storage.hashing import sha256_bytes
from pixelwise.storage.json_text import json_text
from pixelwise.storage.locks import LOCK, keep_in_use, lock_if_free, shared_lock, stop_using
from pixelwise.storage.names import printable
from pixelwise.storage.seals import SEAL, is_intact, seal, sealed_bytes, sealed_json, unsealed_bytes, unsealed_json

T = TypeVar("T")

_intact: set[tuple[Path, int, int]] = set()
"""Folders that this process has compared with their seals, with inode and modification time of the seal."""
_RECENT_SECONDS = 3600.0
"""Age in seconds below which temporary files and folders may still be in the process of being written."""


class Found(NamedTuple):
    """A file or folder in the cache folder.

    Attributes:
        path: Path of the file or folder.
        kind: Its kind; None if unknown.
        name: The parts of its name; None if its kind is unknown.
    """

    path: Path
    kind: CacheKind | None = None
    name: EntryName | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a process is writing it, or was killed before completing it."""
        return self.path.name.startswith(TEMPORARY_PREFIX)


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/pixelwise`, or `~/.cache/pixelwise`; created with access for its owner only.

    Raises:
        ResourceError: S606, the folder cannot be created.
    """
    folder = folder_of_caches()
    with _unwritable_explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def folder_of_caches() -> Path:
    """The path of the cache folder, whether it can be created or not."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pixelwise"


def is_cached(path: Path) -> bool:
    """Whether a file lies in the cache folder, wherever its links lead."""
    try:
        return cache_folder().resolve() in path.resolve().parents
    except (ResourceError, OSError, RuntimeError):  # no cache folder; a link that leads to itself
        return False


def cache_home() -> Path:
    """The folder that the cache folder lies in, for `use_cache_home` in another process."""
    return cache_folder().parent.absolute()


def use_cache_home(home: Path) -> None:
    """From now on, use the cache folder of the process that this one works for."""
    os.environ["XDG_CACHE_HOME"] = str(home)


@contextlib.contextmanager
def _unwritable_explained(folder: Path) -> Iterator[None]:
    """Turn a missing permission, or a file in place of a folder, into S606."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        raise ResourceError(
            "S606",
            f"{printable(folder)}: the cache folder cannot be written ({error.strerror})",
            "set the environment variable XDG_CACHE_HOME to a folder that you can write to",
        ) from error


def subject_of(*facts: object) -> str:
    """The hash by which the names of entries identify what they are about, whatever its state.

    Args:
        facts: Facts that identify the subject: JSON types, structs and paths.
    """
    return sha256_bytes(msgspec.json.encode(facts, enc_hook=lambda path: list(os.fsencode(path))))[:16]


def entry_path(kind: CacheKind, key: str = "", *, variant: str = "", subject: str = "") -> Path:
    """Path of the existing entry, whatever its subject, or else of a new one.

    Args:
        kind: Kind of the entry.
        key: Hexadecimal hash of everything that the content depends on.
        variant: Variant, for kinds that have variants.
        subject: Result of `subject_of`; empty if no later state supersedes the entry.
    """
    folder = cache_folder()
    wanted = folder / kind.entry_name(key, variant=variant, subject=subject)
    if not subject or wanted.exists():
        return wanted
    plain = folder / kind.entry_name(key, variant=variant)
    others = plain.parent.glob(f"{plain.name.removesuffix(kind.suffix)}@*{kind.suffix}")
    return next((path for path in (plain, *sorted(others)) if path.exists()), wanted)


def recall(kind: CacheKind, key: str, result_type: type[T], *, subject: str = "") -> T | None:
    """The value in a file of the cache; None if the file is missing or damaged.

    Args:
        kind: A kind whose entries are files.
        key: See `entry_path`.
        result_type: Type of the value.
        subject: See `entry_path`.

    Raises:
        ResourceError: S606, the cache folder cannot be created; S608, the file cannot be read (permanent kinds only).
    """
    parse = parse_json if kind.suffix == ".json" else parse_msgpack
    unsealed = unsealed_json if kind.suffix == ".json" else unsealed_bytes
    path = Path(kind.prefix)
    try:
        path = entry_path(kind, key, subject=subject)
        if path.exists() and not path.is_file():  # a named pipe in its place would never be read to its end
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        data = path.read_bytes()
        return parse(data if kind.permanent else unsealed(data), result_type, path)
    except (OSError, ResourceError, DocumentError, ValueError, msgspec.MsgspecError) as error:
        # A missing or damaged entry costs time but is never an error. An entry that cannot be computed again must not
        # be overwritten, though, because it could not be read this time.
        if kind.permanent and isinstance(error, ResourceError):
            raise
        if kind.permanent and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise ResourceError(
                "S608",
                f"{printable(path)}: cannot be read ({error.strerror}), and cannot be computed again",
                "make it readable, or remove it",
            ) from error
        return None


def remember(kind: CacheKind, key: str, value: Any, *, subject: str = "") -> None:
    """Write a value to a file of the cache, and remove the entries that it supersedes.

    Failing to write costs time later but is an error only for permanent kinds.

    Args:
        kind: A kind whose entries are files.
        key: See `entry_path`.
        value: Value to store.
        subject: See `entry_path`.

    Raises:
        ResourceError: S601, the disk is full (permanent kinds only).
        OSError: The folder cannot be written (permanent kinds only).
    """
    if kind.permanent:  # people may edit it
        data = json_text(value, order="sorted").encode()
    elif kind.suffix == ".json":
        data = sealed_json(value).encode()
    else:
        data = sealed_bytes(msgspec.msgpack.encode(value))
    try:
        path = entry_path(kind, key, subject=subject)
        make_way(path, folder=False)
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
    """The cached value, or else the result of `compute`, which is cached.

    Args:
        kind: A kind whose entries are files.
        key: See `entry_path`.
        result_type: Type of the value.
        compute: Called if no value is cached, or the entry is damaged.
        subject: See `entry_path`.
        fresh: Compute the value again even if it is cached.
        keep: Tells whether a computed value is worth caching.
    """
    known = None if fresh else recall(kind, key, result_type, subject=subject)
    if known is not None:
        return known
    value = compute()
    if keep(value):
        remember(kind, key, value, subject=subject)
    return value


def intact_entry(path: Path) -> bool:
    """Whether a folder of the cache exists and is undamaged; it is then in use until this process ends.

    The first call in a process compares every file with its checksum, later ones the sizes alone.

    Args:
        path: Result of `entry_path` for a kind whose entries are folders.
    """
    keep_in_use(path)
    try:
        state = (path / SEAL).stat()
    except OSError:
        return False
    found = (path, state.st_ino, state.st_mtime_ns)
    if not is_intact(path, sizes_only=found in _intact):
        return False
    _intact.add(found)
    return True


def make_way(path: Path, *, folder: bool) -> None:
    """Remove what is in the place of an entry and cannot be replaced by one: a folder for a file, or the reverse.

    Raises:
        OSError: It cannot be removed.
    """
    if folder and os.path.lexists(path) and not (path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)):
        path.unlink() if path.is_symlink() or not path.is_dir() else remove_folder(path)
    elif not folder and path.is_dir() and not path.is_symlink():
        remove_folder(path)


@contextlib.contextmanager
def building_entry(
    kind: CacheKind, path: Path, *, variant: str = "", subject: str = "", needed_bytes: int | None = None
) -> Iterator[Path]:
    """Yield a temporary folder that becomes a cache entry when the block succeeds, and is in use from then on.

    If another process has finished the same entry meanwhile, that one stays. Superseded entries are removed.

    Args:
        kind: A kind whose entries are folders.
        path: Result of `entry_path`. An entry that already exists there is taken to be damaged and replaced.
        variant: See `entry_path`.
        subject: See `entry_path`.
        needed_bytes: Expected size, for the message about a full disk; None if unknown.

    Raises:
        ResourceError: S601, the disk of the cache folder is full; S606, the cache folder cannot be written.
    """
    existing = "replace" if os.path.lexists(path) else "keep"
    lock = None
    if not MOVES_OPEN_FILES:
        stop_using(path)  # a damaged entry cannot be renamed away while this process has its lock open
    try:
        with (
            _unwritable_explained(path.parent),
            building_folder(path, existing=existing, needed_bytes=needed_bytes) as folder,
        ):
            if MOVES_OPEN_FILES:
                # The lock moves with the folder, so there is no moment at which the entry could be cleared.
                lock = shared_lock(folder, new=True)
            yield folder
            seal(folder)
        keep_in_use(path)
    finally:
        if lock is not None:
            lock.release()
    drop_superseded(kind, path, variant=variant, subject=subject)


def found_in_cache() -> list[Found]:
    """Everything in the cache folder, sorted by name, including the entries in the folders of single kinds."""
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
    """Remove the entries that a new one supersedes, unless a process is using them, and leftovers of killed processes.

    Args:
        kind: Kind of the new entry.
        kept: Path of the new entry.
        variant: Variant of the new entry.
        subject: Subject of the new entry; if empty, only older versions are superseded.
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
    """Remove a file or folder from the cache folder, unless it is in use, may be in use, or is a link.

    Returns:
        Why it was not removed; empty if it is gone.
    """
    path = found.path
    if path.is_symlink():
        return "is a link, which is not followed"
    if found.unfinished and not (path / LOCK).exists() and _is_recent(path):
        return "may still be in use by the process that writes it"
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
        # The lock lies in the folder, which cannot be renamed while any process has the lock file open.
        remove_folder(path)
    except FileNotFoundError:
        return ""  # another process has removed it
    except OSError as error:
        return f"cannot be removed: {error.strerror}"
    return ""


def _is_recent(path: Path) -> bool:
    try:
        # A time in the future is as far from now: the clock was wrong, then or now.
        return abs(time.time() - path.lstat().st_mtime) < _RECENT_SECONDS
    except OSError:
        return False
