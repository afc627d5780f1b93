"""Unpacking untrusted archives, completely or not at all.

Only regular files and folders are unpacked, below the target folder and under names that mean the same on every
system; if one member is anything else, the whole archive is refused. Members are written to a temporary folder first,
so a half-unpacked archive is never visible.
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
    """Limits on what an archive may unpack to.

    Attributes:
        members: Maximum number of files and folders.
        bytes: Maximum unpacked size of all files together.
        ratio: Maximum ratio of unpacked to packed size, of the whole archive and of every file in a zip.
        slack: Bytes allowed beyond `ratio`, per file (zip) and in total, because small files of a single value
            compress a thousandfold and are harmless.
    """

    members: int = 2_000_000
    bytes: int = 200_000_000_000
    ratio: int = 200
    slack: int = 10_000_000


class _Member(NamedTuple):
    """A member of an archive; `problem` says why it must not be unpacked."""

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

    Existing files are never overwritten.

    Args:
        archive: A zip, tar, tar.gz, tar.bz2 or tar.xz file, recognised by its content.
        folder: Target folder, created if it does not exist.
        only: Unpack only the content of this folder of the archive, without the folder itself. `*` matches any name
            of one path part, such as the top folder of GitHub's archives: `*/CamVid`.
        limits: None uses the defaults of `Limits`.
        progress: Called with the bytes unpacked so far and the unpacked size of the archive (0 if unknown).

    Returns:
        The files and folders of the archive that lie directly below `folder`.

    Raises:
        DataError: D252, the archive is damaged, contains something that must not be unpacked, or has nothing
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
            raise _refused(archive, "a name is used for both a file and a folder") from error
        except OSError as error:
            if error.errno is None:  # gzip and bzip2 report damage as a bare OSError
                raise _refused(archive, f"it is damaged: {printable(str(error))}") from error
            raise
        if not written:
            raise _refused(archive, f"it contains nothing below {only}" if only else "it is empty")
        _merge(unfinished, folder)
    return sorted(folder / name for name in written)


def _unpack_into(archive: Path, folder: Path, only: str, limits: Limits, progress: Progress | None) -> set[str]:
    """Write the members below `folder` and return the first parts of their names."""
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
            raise _refused(archive, f"{printable(member.name) or 'unnamed member'}: {problem}")
        seen[key] = member.is_folder
        relative = _below(member.name, only)
        total += member.size
        if total > min(limits.bytes, limits.ratio * packed_total + limits.slack):
            raise _refused(archive, f"it unpacks to at least {total} bytes from {packed_total}, which is too much")
        if relative is None:
            continue
        first_parts.add(relative.parts[0])
        _write(member, folder / relative)
        if progress is not None:
            progress(total, expected)
    return first_parts


def _members(archive: Path) -> tuple[int, Iterator[_Member]]:
    """The unpacked size (0 if the archive does not state it beforehand) and the members in stored order."""
    if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
        file = zipfile.ZipFile(archive)
        entries = file.infolist()
        # Members that share packed bytes are a zip bomb that the ratios of single members do not reveal.
        if sum(entry.compress_size for entry in entries) > archive.stat().st_size:
            raise _refused(archive, "its packed members are larger than the archive itself, so they overlap")
        return sum(entry.file_size for entry in entries), _zip_members(file)
    if not tarfile.is_tarfile(archive):
        with open(archive, "rb") as stream:
            head = stream.read(16)
        page = head.lstrip().startswith(b"<")
        what = "a web page" if page else f"not a zip or tar file (starts with {head!r})"
        raise _refused(archive, f"it is {what}")
    return 0, _tar_members(archive)


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    with file:
        for entry in file.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            problem = ""
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                problem = "it is a link or a device, not a regular file"
            elif entry.flag_bits & 1:
                problem = "it is encrypted"
            # orig_filename: zipfile cuts `filename` off at a zero byte, but the whole name has to be checked.
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
                problem = "it is a link, a device or a sparse file, not a regular file"
            yield _Member(
                entry.name,
                entry.isdir(),
                entry.size if entry.isreg() else 0,
                None,
                problem,
                lambda entry=entry: file.extractfile(entry),
            )


def _name_problem(name: str) -> str:
    """Why the name of a member must not be used; empty if it may."""
    plain = name.rstrip("/")
    if not plain:
        return "its name is empty"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "its name is absolute"
    if "\\" in name:
        return "its name contains a backslash"
    # Marks that reverse the direction of text: `photo<RLO>gnp.exe` is displayed as `photoexe.png`.
    if any(unicodedata.category(letter) == "Cf" for letter in name):
        return "its name contains control characters"
    parts = [] if plain == "." else plain.removeprefix("./").split("/")
    problem = next((problem for part in parts if (problem := problem_of(part))), "")
    return f"its name {problem}" if problem else ""


def _size_problem(member: _Member, limits: Limits) -> str:
    if member.packed is None or member.size <= limits.ratio * member.packed + limits.slack:
        return ""
    return f"it unpacks from {member.packed} to {member.size} bytes"


def _below(name: str, only: str) -> PurePosixPath | None:
    """The name relative to `only`; None if the member lies elsewhere or is that folder itself."""
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
                raise EOFError(f"{member.name} is longer than its stated {member.size} bytes")
            target.write(chunk)
    if left:
        raise EOFError(f"{member.name} is shorter than its stated {member.size} bytes")
    let_others_read(path)


def _merge(source: Path, target: Path) -> None:
    """Move everything below `source` to `target`; folders are merged, existing files stay."""
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if not os.path.lexists(place):
            rename(entry, place)
        elif entry.is_dir() and place.is_dir():
            _merge(entry, place)


def _refused(archive: Path, why: str) -> DataError:
    return DataError(
        "D252",
        f"{printable(archive)}: archive refused, nothing was unpacked: {why}",
        "download it again from its publisher; if you trust it, unpack it by hand where it can do no harm",
    )
