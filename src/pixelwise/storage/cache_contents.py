"""Listing and clearing the cache folder, by kind of entry."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError, ResourceError
from pixelwise.storage.cache_kinds import KINDS, CacheKind
from pixelwise.storage.caches import Found, cache_folder, folder_of_caches, found_in_cache, remove
from pixelwise.storage.names import printable

OTHER = "of other versions"
"""Entries of no known kind, left by other versions of Pixelwise."""
UNFINISHED = "unfinished"
"""Entries that a process is writing, or was writing when it was killed."""
NAMES = (*(kind.name for kind in KINDS), UNFINISHED)
"""The kinds that can be selected by name."""


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the cache.

    Attributes:
        name: Printable path relative to the cache folder.
        bytes: Size of the file, or of all files in the folder; links are not followed.
        about: Description of the content, if the kind provides one.
    """

    name: str
    bytes: int
    about: str = ""


class CacheUse(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of one kind.

    Attributes:
        kind: Name of the kind, or `OTHER` or `UNFINISHED`.
        purpose: Purpose of the entries, in a few words.
        permanent: Whether the entries are cleared only if their kind is named.
        bytes: Size of all entries together.
        entries: The entries, largest first.
    """

    kind: str
    purpose: str
    permanent: bool
    bytes: int
    entries: tuple[CacheEntry, ...]


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """Result of clearing the cache.

    Attributes:
        entries: Number of removed entries.
        bytes: Size of the removed entries.
        left: The reason for each entry that was not removed, by its name.
    """

    entries: int
    bytes: int
    left: dict[str, str]


class CacheContents(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of the cache folder.

    Attributes:
        folder: Printable path of the cache folder.
        bytes: Total size of the listed entries.
        kinds: Every selected kind, even without entries; last come `OTHER` and `UNFINISHED`, if they have any.
        cleared: Result of clearing the cache afterwards; None if that was not requested.
    """

    folder: str
    bytes: int
    kinds: tuple[CacheUse, ...]
    cleared: Cleared | None = None


def cache(kinds: Collection[str] = (), *, clear: bool = False) -> CacheContents:
    """List the cache folder by kind, with the entries, their sizes and purposes; optionally clear it.

    Args:
        kinds: Names of the kinds to list; every kind if empty.
        clear: Remove entries that can be computed again and that no process is using. Entries that cannot be
            computed again are removed only if `kinds` names their kind.

    Returns:
        The contents before anything was removed.

    Raises:
        RecipeError: R203, there is no such kind.
    """
    contents = cache_contents(kinds)
    return msgspec.structs.replace(contents, cleared=clear_cache(kinds)) if clear else contents


def cache_contents(kinds: Collection[str] = ()) -> CacheContents:
    """The contents of the cache folder.

    Args:
        kinds: Names from `NAMES`; everything if empty.

    Raises:
        RecipeError: R203, there is no such kind.
    """
    _check(kinds)
    by_kind: dict[str, list[Found]] = {}
    for one in found_in_cache():
        by_kind.setdefault(_kind_name(one), []).append(one)
    uses = [_use(kind.name, kind.purpose, by_kind.get(kind.name, ()), kind) for kind in KINDS]
    if OTHER in by_kind:
        uses.append(_use(OTHER, "left by other versions of Pixelwise, or by other programs", by_kind[OTHER]))
    if UNFINISHED in by_kind:
        uses.append(_use(UNFINISHED, "being written, or left by a process that was killed", by_kind[UNFINISHED]))
    chosen = tuple(use for use in uses if not kinds or use.kind in kinds)
    return CacheContents(folder=printable(cache_folder()), bytes=sum(use.bytes for use in chosen), kinds=chosen)


def clear_cache(kinds: Collection[str] = ()) -> Cleared:
    """Remove entries from the cache folder.

    Entries that a process is writing or using are left, and so are links: nothing outside the cache folder is touched.

    Args:
        kinds: Names from `NAMES`; everything that can be computed again if empty.

    Raises:
        RecipeError: R203, there is no such kind.
    """
    _check(kinds)
    entries = size = 0
    left = {}
    for one in found_in_cache():
        name = _kind_name(one)
        if name not in kinds if kinds else one.kind is not None and one.kind.permanent:
            continue
        bytes_of_it = size_of(one.path)
        if reason := remove(one):
            left[_relative(one.path)] = reason
        else:
            entries, size = entries + 1, size + bytes_of_it
    return Cleared(entries=entries, bytes=size, left=left)


def _check(kinds: Collection[str]) -> None:
    for name in kinds:
        if name not in NAMES:
            raise RecipeError("R203", f"the cache has no kind '{name}'", f"the kinds are {', '.join(NAMES)}")


def _kind_name(one: Found) -> str:
    if one.unfinished:
        return UNFINISHED
    return one.kind.name if one.kind is not None else OTHER


def _use(name: str, purpose: str, found: Sequence[Found], kind: CacheKind | None = None) -> CacheUse:
    entries = sorted((_entry(one) for one in found), key=lambda entry: (-entry.bytes, entry.name))
    return CacheUse(
        kind=name,
        purpose=purpose,
        permanent=kind is not None and kind.permanent,
        bytes=sum(entry.bytes for entry in entries),
        entries=tuple(entries),
    )


def _entry(one: Found) -> CacheEntry:
    about = ""
    if one.kind is not None and one.kind.describe is not None and not one.path.is_symlink():
        try:
            about = one.kind.describe(one.path)
        except (OSError, ValueError, KeyError, msgspec.MsgspecError):
            about = "being written, or damaged"
    return CacheEntry(name=_relative(one.path), bytes=size_of(one.path), about=about)


def _relative(path: Path) -> str:
    return printable(path.relative_to(cache_folder()).as_posix())


def place() -> tuple[Path, str]:
    """The cache folder, and why it cannot be used; an empty text if it can."""
    try:
        return cache_folder(), ""
    except ResourceError as error:
        return folder_of_caches(), error.message


def size_of(path: Path) -> int:
    """Size of a file or of all files in a folder, as far as they are accessible; links are not followed."""
    total = 0
    with contextlib.suppress(OSError):
        total = path.lstat().st_size if path.is_symlink() or not path.is_dir() else 0
        if path.is_dir() and not path.is_symlink():
            for folder, _, names in os.walk(path):
                for name in names:
                    with contextlib.suppress(OSError):
                        total += os.lstat(os.path.join(folder, name)).st_size
    return total
