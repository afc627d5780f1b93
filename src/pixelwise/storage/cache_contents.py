"""What lies in the cache folder, by kind, and clearing it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.storage.cache_kinds import KINDS, CacheKind
from pixelwise.storage.caches import Found, cache_folder, found_in_cache, remove
from pixelwise.storage.names import printable

OTHER = "of other versions"
"""What no kind knows: left by other versions of Pixelwise."""
UNFINISHED = "unfinished"
"""What a process writes at this moment, or was writing when it was killed."""
NAMES = (*(kind.name for kind in KINDS), UNFINISHED)
"""What can be asked for by its name."""


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry.

    Attributes:
        name: Relative to the cache folder, printable.
        bytes: Its size; that of all files of a folder. Links are not followed.
        about: What it holds, where its kind can say that.
    """

    name: str
    bytes: int
    about: str = ""


class CacheUse(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of one kind.

    Attributes:
        kind: The name of the kind, `OTHER` or `UNFINISHED`.
        purpose: What they are for.
        permanent: Whether only the kind's own name clears them.
        bytes: Their size.
        entries: The largest first.
    """

    kind: str
    purpose: str
    permanent: bool
    bytes: int
    entries: tuple[CacheEntry, ...]


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """What clearing did.

    Attributes:
        entries: How many were removed.
        bytes: Their size.
        left: Name of each entry that was left -> why, in words.
    """

    entries: int
    bytes: int
    left: dict[str, str]


class CacheContents(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in the cache folder.

    Attributes:
        folder: The cache folder, printable.
        bytes: The size of everything.
        kinds: Every kind, with or without entries; the last ones are `OTHER` and `UNFINISHED` where there are any.
        cleared: What clearing did after this was seen; None where nothing was to be cleared.
    """

    folder: str
    bytes: int
    kinds: tuple[CacheUse, ...]
    cleared: Cleared | None = None


def cache(kinds: Collection[str] = (), *, clear: bool = False) -> CacheContents:
    """What lies in the cache folder, by kind: the entries, their size, and what they are for; and clearing it.

    Args:
        kinds: Names of kinds to look at; none takes every kind.
        clear: Remove what can be computed again and no process uses. Kinds that cannot be computed again are removed
            only where `kinds` names them.

    Returns:
        What was there before anything was removed.

    Raises:
        RecipeError: R203, there is no such kind.
    """
    contents = cache_contents(kinds)
    return msgspec.structs.replace(contents, cleared=clear_cache(kinds)) if clear else contents


def cache_contents(kinds: Collection[str] = ()) -> CacheContents:
    """What lies in the cache folder.

    Args:
        kinds: Of `NAMES`; none takes everything.

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
    """Remove what lies in the cache folder. Processes that read it keep what they read.

    What a process makes or uses is left, and so are links: nothing outside the cache folder is touched.

    Args:
        kinds: Of `NAMES`; none takes everything that can be computed again.

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
        bytes_of_it = _size(one.path)
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
            about = "being made, or not whole"
    return CacheEntry(name=_relative(one.path), bytes=_size(one.path), about=about)


def _relative(path: Path) -> str:
    return printable(path.relative_to(cache_folder()).as_posix())


def _size(path: Path) -> int:
    """Bytes of a file or of all files of a folder, as far as they can be asked for; links are not followed."""
    total = 0
    with contextlib.suppress(OSError):
        total = path.lstat().st_size if path.is_symlink() or not path.is_dir() else 0
        if path.is_dir() and not path.is_symlink():
            for folder, _, names in os.walk(path):
                for name in names:
                    with contextlib.suppress(OSError):
                        total += os.lstat(os.path.join(folder, name)).st_size
    return total
