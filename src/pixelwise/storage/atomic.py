"""Atomic writes: temporary file, fsync, rename, fsync of the folder.

A process that is killed (SIGKILL) in the middle of a write leaves the old file intact and at most a
`.pixelwise-tmp-*` file or folder beside it. Its name says which process made it, and the next process that writes to
the folder deletes those of processes that no longer run.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pixelwise.errors import ResourceError
from pixelwise.machine.files import flush, has_room, is_disk_full, let_others_read, rename, replace_file
from pixelwise.machine.locks import take_lock
from pixelwise.machine.processes import is_running, process_mark
from pixelwise.storage.names import printable
from pixelwise.storage.stores.addresses import require_local

TEMPORARY_PREFIX = ".pixelwise-tmp-"
LOCK_PREFIX = f"{TEMPORARY_PREFIX}lock-"
"""Start of the names of the files that `pixelwise.storage.locks.writing_alone` locks."""
LOCK = "lock"
"""Name of the lock file in a folder."""
_MARK = re.compile(re.escape(TEMPORARY_PREFIX) + r"(\w+-\d+-\d+)-")
_OLD_SECONDS = 86_400
"""Age from which a temporary file of another computer counts as left behind."""
_CAUSES_FOLLOWED = 10
_FOLDERS_REMEMBERED = 1024


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder and rename it to `path` when the block succeeds.

    Raises:
        RecipeError: R294, `path` is an address.
        ResourceError: S601, the disk or the quota is full; the message states the free space and, if known, the needed
            space. The old file is untouched and the temporary one removed.
    """
    require_local(path)
    with full_disk_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent, os.getpid())
        handle, name = tempfile.mkstemp(prefix=_own_prefix(), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_explained(path):
            yield temporary
            flush(temporary)
            let_others_read(temporary, path)
            replace_file(temporary, path)
            flush(path.parent)
    finally:
        with contextlib.suppress(OSError):  # the failed block may still have it open, and its error matters more
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a temporary folder in `parent`, which is created if missing; the folder is removed after the block.

    Raises:
        ResourceError: S601, the disk or the quota is full.
    """
    with full_disk_explained(parent), _temporary_folder(parent) as folder:
        yield folder


@contextlib.contextmanager
def building_folder(
    path: Path, *, existing: Literal["refuse", "replace", "keep"] = "refuse", needed_bytes: int | None = None
) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` when the block succeeds, otherwise remove it.

    Args:
        path: Folder that appears complete or not at all.
        existing: If `path` exists at the end of the block: `refuse` raises FileExistsError, `replace` replaces it,
            `keep` keeps it and drops the new folder.
        needed_bytes: Expected size, for the message about a full disk; None if unknown.

    Raises:
        FileExistsError: `path` exists, and `existing` is `refuse`.
        ResourceError: S601, the disk or the quota is full.
    """
    with full_disk_explained(path, needed_bytes), _temporary_folder(path.parent) as folder:
        yield folder
        let_others_read(folder)
        if existing == "replace" and os.path.lexists(path):
            # A folder cannot be renamed over another one.
            with _temporary_folder(path.parent) as replaced:
                rename(path, replaced / path.name)
                rename(folder, path)
        elif not os.path.lexists(path):
            _rename(folder, path, may_exist=existing == "keep")
        elif existing != "keep":
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        flush(path.parent)


@contextlib.contextmanager
def filling_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder whose content becomes that of `path`, if the block succeeds.

    A missing folder appears complete or not at all. An existing one may be a link or a mount point, which cannot be
    replaced: the complete entries are moved into it one after the other, the subfolders before the files.

    Args:
        path: Folder to fill. An existing one may have other content, which stays.

    Raises:
        FileExistsError: `path` has an entry of the same name.
        ResourceError: S601, the disk or the quota is full.
    """
    if not path.exists():
        with building_folder(path) as folder:
            yield folder
        return
    with scratch_folder(path) as folder:
        yield folder
        entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_file(), entry.name))
        for taken in (path / entry.name for entry in entries if os.path.lexists(path / entry.name)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(taken))
        for entry in entries:
            rename(entry, path / entry.name)
        flush(path)


def is_vacant(path: Path) -> bool:
    """Whether `path` is missing, or a folder that contains nothing but temporary files and folders."""
    if not os.path.lexists(path):
        return True
    return path.is_dir() and all(entry.name.startswith(TEMPORARY_PREFIX) for entry in path.iterdir())


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    _tidy(parent, os.getpid())
    folder = Path(tempfile.mkdtemp(prefix=_own_prefix(), dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(folder: Path, path: Path, *, may_exist: bool) -> None:
    try:
        rename(folder, path)
    except OSError:
        # Another process may have created it a moment earlier.
        if not (may_exist and path.is_dir()):
            raise


@contextlib.contextmanager
def full_disk_explained(path: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn errors for a full disk, a quota or a file size limit into S601; other errors pass through.

    Args:
        path: File or folder being written.
        needed_bytes: Its expected size; None if unknown.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path, needed_bytes) from error
        raise


def full_disk_behind(error: BaseException, folder: Path, needed_bytes: int) -> ResourceError | None:
    """The error S601 if a full disk is behind the error of a library, which often says something else; otherwise None.

    Args:
        error: What the library raised while it wrote to `folder`.
        folder: The folder.
        needed_bytes: Size of what it was writing.
    """
    cause: BaseException | None = error
    for _ in range(_CAUSES_FOLLOWED):
        if isinstance(cause, OSError) and is_disk_full(cause):
            return disk_full(folder, needed_bytes)
        cause = cause and (cause.__cause__ or cause.__context__)
    return None if has_room(folder, needed_bytes) else disk_full(folder, needed_bytes)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically.

    Raises:
        ResourceError: S601, the disk or the quota is full; the message states the needed and the free space.
    """
    with writing(path) as temporary, full_disk_explained(path, len(data)):
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path` atomically; raises the same errors as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def disk_full(path: Path, needed_bytes: int | None = None) -> ResourceError:
    """The error S601 for a file or folder that does not fit on its disk."""
    free = shutil.disk_usage(_existing(path)).free
    needs = "" if needed_bytes is None else f"needs {_megabytes(needed_bytes)}, "
    return ResourceError(
        "S601",
        f"{printable(path)}: not enough space: {needs}{_megabytes(free)} free on its file system "
        "(or a quota or the file size limit is lower)",
        "free some space or write to another disk; everything written before is intact",
    )


def require_space(
    folder: Path, needed_bytes: int, purpose: str, help: str = "free some space or write to another disk"
) -> None:
    """Refuse early if the file system has too little space for what is about to be written.

    Raises:
        ResourceError: S602, less than `needed_bytes` are free.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if free < needed_bytes:
        raise ResourceError(
            "S602",
            f"{printable(folder)}: {purpose} needs {_megabytes(needed_bytes)}, {_megabytes(free)} free",
            help,
        )


def remove_leftovers(folder: Path, *, unknown: bool = True) -> list[Path]:
    """Delete the temporary files and folders that killed processes left in `folder`, and return their paths.

    Those of running processes stay, and folders whose lock a process holds, perhaps one of another computer.

    Args:
        folder: Folder in which they are looked for, without its subfolders.
        unknown: Delete those too of which it is not known whether their process runs, such as those of another
            computer; without it only if they are a day old.
    """
    found = sorted(folder.glob(f"{TEMPORARY_PREFIX}*")) if folder.is_dir() else []
    locks = [path for path in found if path.name.startswith(LOCK_PREFIX)]
    leftovers = [path for path in found if path not in locks and _is_left_behind(path, unknown=unknown)]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(PermissionError):  # Windows does not remove open files: the next call removes it
                path.unlink(missing_ok=True)
    return leftovers + [path for path in locks if _remove_free_lock(path)]


def _is_left_behind(path: Path, *, unknown: bool) -> bool:
    mark = _MARK.match(path.name)
    running = is_running(mark[1]) if mark else None
    if running is not None:
        return not running
    if _is_in_use(path):
        return False
    if unknown:
        return True
    try:
        # A time in the future is as far from now: the clock was wrong, then or now.
        return abs(time.time() - path.lstat().st_mtime) > _OLD_SECONDS
    except OSError:  # its process has just finished
        return False


def _is_in_use(folder: Path) -> bool:
    """Whether a process holds the lock of a folder."""
    with contextlib.suppress(OSError):  # no lock counts as held where there can be none
        if (folder / LOCK).exists():
            lock = take_lock(folder / LOCK)
            if lock is None:
                return True
            lock.release()
    return False


def _remove_free_lock(path: Path) -> bool:
    """Remove the file of a lock unless a process holds it; whether it was removed."""
    with contextlib.suppress(OSError):
        lock = take_lock(path)
        if lock is not None:
            lock.release(remove=True)
            return True
    return False


@functools.lru_cache(_FOLDERS_REMEMBERED)
def _tidy(folder: Path, _pid: int) -> None:
    """Remove what killed processes left in a folder, once per process and folder."""
    with contextlib.suppress(OSError):  # it is in nobody's way
        remove_leftovers(folder, unknown=False)


def _own_prefix() -> str:
    return f"{TEMPORARY_PREFIX}{process_mark()}-"


def remove_folder(path: Path) -> None:
    """Delete a folder, renaming it first, so that a kill in between leaves nothing that looks complete.

    Whatever cannot be deleted stays under a temporary name for `remove_leftovers`.

    Raises:
        OSError: The folder cannot be renamed.
    """
    hidden = path.with_name(f"{_own_prefix()}{secrets.token_hex(8)}")
    rename(path, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _existing(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
