"""Archives from strangers: unpacked whole, or not at all.

Only regular files and folders come out, below the target folder, under names that mean the same on every
system. One member that is anything else refuses the whole archive. Members are written to a temporary folder
first, so nobody ever sees half of an archive.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pixelwise.errors import DataError
from pixelwise.machine.files import let_others_read, rename
from pixelwise.storage.atomic import full_disk_explained, scratch_folder
from pixelwise.storage.names import folded, printable, problem_of

Progress = Callable[[int, int], None]

_CHUNK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")


class Limits(NamedTuple):
    """What an archive may unpack to.

    Attributes:
        members: Files and folders.
        bytes: All files together.
        ratio: Unpacked size / packed size, of the whole archive and of every file in a zip.
        slack: So many bytes per file (zip) or in all may always be unpacked: small files of one value shrink
            a thousandfold and harm nobody.
    """

    members: int = 2_000_000
    bytes: int = 200_000_000_000
    ratio: int = 200
    slack: int = 10_000_000


class _Member(NamedTuple):
    """An entry; `problem` says why it must not be unpacked."""

    name: str
    is_folder: bool
    size: int
    packed: int | None
    problem: str
    open: Callable[[], IO[bytes] | None]


def unpack(
    archive: Path,
    folder: Path,
    *,
    only: str = "",
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Unpack a zip or tar file into `folder`.

    Files that exist there already are never overwritten; they stay as they are.

    Args:
        archive: Recognised by its content: zip, tar, tar.gz, tar.bz2 or tar.xz.
        folder: Created if need be.
        only: Unpack only what lies below this folder of the archive, without the folder itself. `*` stands
            for a first part of any name, as in the archives that GitHub makes: `*/CamVid`.
        limits: None takes the defaults of `Limits`.
        progress: Called with bytes that are unpacked and the size of the archive's files (0 while unknown).

    Returns:
        The files and folders directly below `folder` that the archive brought.

    Raises:
        DataError: D252, the archive is damaged, holds something that must not be unpacked, or nothing
            below `only`. Nothing of it is left.
        ResourceError: S601, the disk is full.
    """
    with scratch_folder(folder) as unfinished:
        try:
            with full_disk_explained(folder):
                written = _unpack_into(archive, unfinished, only, limits or Limits(), progress)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise _refused(archive, f"it is damaged: {printable(str(error))}") from error
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _refused(archive, "one name stands for a file and for a folder") from error
        except OSError as error:
            if error.errno is None:  # gzip and bzip2 report damage as a bare OSError
                raise _refused(archive, f"it is damaged: {printable(str(error))}") from error
            raise
        if not written:
            raise _refused(archive, f"it holds nothing below {only}" if only else "it is empty")
        _merge(unfinished, folder)
    return sorted(folder / name for name in written)


def _unpack_into(archive: Path, folder: Path, only: str, limits: Limits, progress: Progress | None) -> set[str]:
    """Write the members below `folder`; returns the first parts of their names."""
    packed_total = archive.stat().st_size
    seen: dict[str, bool] = {}
    first_parts: set[str] = set()
    total = 0
    expected, members = _members(archive)
    for number, member in enumerate(members):
        problem = member.problem or _name_problem(member.name) or _size_problem(member, limits)
        if number >= limits.members:
            problem = f"it has more than {limits.members} members"
        key = folded(str(PurePosixPath(member.name)))
        if not problem and key in seen and not (member.is_folder and seen[key]):
            problem = "another member has the same name, at least on some systems"
        if problem:
            raise _refused(archive, f"{printable(member.name) or 'a member without a name'}: {problem}")
        seen[key] = member.is_folder
        relative = _below(member.name, only)
        total += member.size
        if total > min(limits.bytes, limits.ratio * packed_total + limits.slack):
            raise _refused(archive, f"it unpacks to more than {total} bytes out of {packed_total}")
        if relative is None:
            continue
        first_parts.add(relative.parts[0])
        _write(member, folder / relative)
        if progress is not None:
            progress(total, expected)
    return first_parts


def _members(archive: Path) -> tuple[int, Iterator[_Member]]:
    """The unpacked size where the archive says it beforehand, and the members in stored order."""
    if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
        file = zipfile.ZipFile(archive)
        entries = file.infolist()
        # Members that share packed bytes are a bomb that no ratio of a single one shows.
        if sum(entry.compress_size for entry in entries) > archive.stat().st_size:
            raise _refused(archive, "its members are larger than the archive itself: they overlap")
        return sum(entry.file_size for entry in entries), _zip_members(file)
    if not tarfile.is_tarfile(archive):
        with open(archive, "rb") as stream:
            head = stream.read(16)
        page = head.lstrip().startswith(b"<")
        what = "a web page" if page else f"no zip or tar file (starts with {head!r})"
        raise _refused(archive, f"it is {what}")
    return 0, _tar_members(archive)


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    with file:
        for entry in file.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            problem = ""
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                problem = "a link or a device, not a regular file"
            elif entry.flag_bits & 1:
                problem = "it is encrypted"
            # orig_filename: what zipfile cuts off at a zero byte belongs to the name that is judged.
            name = entry.orig_filename
            yield _Member(
                name,
                entry.is_dir(),
                entry.file_size,
                entry.compress_size,
                problem,
                lambda entry=entry: file.open(entry),
            )


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for entry in file:
            problem = ""
            if not (entry.isreg() or entry.isdir()) or entry.issparse():
                problem = "a link, a device or a sparse file, not a regular one"
            yield _Member(
                entry.name,
                entry.isdir(),
                entry.size if entry.isreg() else 0,
                None,
                problem,
                lambda entry=entry: file.extractfile(entry),
            )


def _name_problem(name: str) -> str:
    """Why a name must not be used; empty if it may."""
    plain = name.rstrip("/")
    if not plain:
        return "its name is empty"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "its name is absolute"
    if "\\" in name:
        return "its name holds a backslash"
    # Marks that turn the direction of text around: `photo<RLO>gnp.exe` reads `photoexe.png`.
    if any(unicodedata.category(letter) == "Cf" for letter in name):
        return "its name holds control characters"
    parts = [] if plain == "." else plain.removeprefix("./").split("/")
    problem = next((problem for part in parts if (problem := problem_of(part))), "")
    return f"its name {problem}" if problem else ""


def _size_problem(member: _Member, limits: Limits) -> str:
    if member.packed is None or member.size <= limits.ratio * member.packed + limits.slack:
        return ""
    return f"it unpacks from {member.packed} to {member.size} bytes"


def _below(name: str, only: str) -> PurePosixPath | None:
    """The name below `only`; None if the member lies elsewhere or is that folder itself."""
    parts = PurePosixPath(name).parts
    wanted = PurePosixPath(only).parts
    if len(parts) <= len(wanted):
        return None
    if any(want not in ("*", part) for want, part in zip(wanted, parts, strict=False)):
        return None
    return PurePosixPath(*parts[len(wanted) :])


def _write(member: _Member, path: Path) -> None:
    if member.is_folder:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    source = member.open()
    if source is None:
        raise EOFError(f"{member.name} cannot be read")
    left = member.size
    with source, open(path, "xb") as target:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise EOFError(f"{member.name} is longer than it says")
            target.write(chunk)
    if left:
        raise EOFError(f"{member.name} is shorter than it says")
    let_others_read(path)


def _merge(source: Path, target: Path) -> None:
    """Move everything below `source` to `target`; folders are joined, files that exist stay."""
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if not os.path.lexists(place):
            rename(entry, place)
        elif entry.is_dir() and place.is_dir():
            _merge(entry, place)


def _refused(archive: Path, why: str) -> DataError:
    return DataError(
        "D252",
        f"{printable(archive)}: refused, nothing of it was unpacked: {why}",
        "download it again from its publisher; if it is what it should be, unpack it by hand in a place where it can "
        "do no harm",
    )
