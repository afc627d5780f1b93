"""Reading of a weights file or folder of any system: recognised by content, and nothing in it is ever run."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import safetensors
import safetensors.torch

from pixelwise.checkpoints.files.archives import (
    Several,
    Unread,
    decompressed,
    members_of_tar,
    members_of_zip,
    only_weights_file,
    read_npz,
    read_torch_archive,
)
from pixelwise.checkpoints.files.folders import locate
from pixelwise.checkpoints.files.kinds import AGAIN, Damaged, Kind, Other, kind_of
from pixelwise.checkpoints.files.pickles import read_old_file
from pixelwise.checkpoints.files.settling import settle
from pixelwise.errors import CheckpointError
from pixelwise.storage import printable, sha256_bytes, sha256_file
from pixelwise.storage.names import some

NESTED = 3
"""Number of archives that may lie around a weights file."""


class WeightsFile(NamedTuple):
    """What was read.

    Attributes:
        content: Nested dicts, lists and tuples of tensors (on the CPU), arrays, numbers, texts and inert objects; the
            weights may be anywhere in it.
        notes: What a report of its use has to say: what was unpacked, joined or left out.
        files: The files that were read.
        folder: The folder that was given; None for a single file.
    """

    content: Any
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    folder: Path | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the file; of several files, that of their hashes in order."""
        hashes = [sha256_file(file) for file in self.files]
        return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())


def read_weights(path: Path | str) -> WeightsFile:
    """Read a weights file, or the weights in a folder, whatever their names are.

    Read are safetensors, files of torch.save of any version, TorchScript archives, plain pickles and archives of numpy;
    gzip, bzip2, xz, zip or tar around one of them; folders of the Hugging Face libraries, and weights in several files
    with an index, of which the folder, the index or any part may be given.

    Raises:
        CheckpointError: K405, there is no such file, or it is damaged; K483, a part of the weights is missing; K484,
            there are several weights files to choose from; K485, it is a whole file of another kind.
    """
    place = locate(Path(path))
    content: Any = None
    notes: list[str] = list(place.notes)
    for part in place.files:
        with _opened(part) as file:
            found, more = _read(file, part, NESTED)
        notes += [note for note in more if note not in notes]
        content = found if content is None else _joined(content, found, part)
    return WeightsFile(content, tuple(notes), place.files, place.folder)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _damaged(path, f"it cannot be opened: {error.strerror or error}", "check that it may be read") from error


def _joined(content: Any, more: Any, path: Path) -> Any:
    if not isinstance(content, dict) or not isinstance(more, dict):
        raise _damaged(path, f"this part holds a {type(more).__name__}, expected a dict of named tensors", AGAIN)
    if twice := sorted(set(content) & set(more)):
        raise _damaged(path, f"it repeats tensors of another part: {', '.join(twice[:3])}", AGAIN)
    return {**content, **more}


def _read(file: BinaryIO, path: Path, depth: int) -> tuple[Any, tuple[str, ...]]:
    """Content of an open file of any kind, settled, and notes; errors name `path`."""
    kind = kind_of(file)
    file.seek(0)
    if isinstance(kind, Damaged):
        raise _damaged(path, kind.reason, kind.help)
    if isinstance(kind, Other):
        raise _other(path, kind)
    try:
        if kind is Kind.SAFETENSORS:
            return _safetensors(file, path), ()
        if kind is Kind.NPY:
            return np.load(file, allow_pickle=False), ()
        if kind is Kind.PICKLE:
            return _settled(read_old_file(file), ())
        if depth == 0:
            raise _other(path, Other("an archive in an archive in an archive", "unpack it, and give the weights file"))
        if kind is Kind.COMPRESSED:
            content, notes = _read(decompressed(file), path, depth - 1)
            return content, ("the file was decompressed", *notes)
        return _tar(file, path, depth) if kind is Kind.TAR else _zip(file, path, depth)
    except CheckpointError:
        raise
    except Unread as error:
        raise _other(path, error.other) from error
    except Several as error:
        raise CheckpointError(
            "K484",
            f"{printable(path)} holds {len(error.names)} weights files: {some(error.names)}; expected one",
            "unpack it, and give one of them",
        ) from error
    except Exception as error:  # damaged content can make its reader raise nearly anything
        raise _damaged(path, f"it is damaged: {_reason(error)}", AGAIN) from error


def _settled(content: Any, notes: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    found = settle(content)
    outer = found.modules[-1:]  # the outermost class is complete last
    return found.content, (
        *notes,
        *(f"the weights were read out of a pickled '{name}' without running it" for name in outer),
    )


def _safetensors(file: BinaryIO, path: Path) -> dict[str, Any]:
    if isinstance(file, io.BytesIO):
        return safetensors.torch.load(file.getvalue())
    size = path.stat().st_size
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise _damaged(path, f"it is a damaged safetensors file of {size} bytes: {_reason(error)}", AGAIN) from error


def _zip(file: BinaryIO, path: Path, depth: int) -> tuple[Any, tuple[str, ...]]:
    with zipfile.ZipFile(file) as archive:
        torch_content = read_torch_archive(archive, file)
        if torch_content is not None:
            return _settled(*torch_content)
        arrays = read_npz(archive)
        if arrays is not None:
            return arrays
        member = only_weights_file(members_of_zip(archive), "a zip archive")
        return _member(member.name, member.open().read(), path, depth)


def _tar(file: BinaryIO, path: Path, depth: int) -> tuple[Any, tuple[str, ...]]:
    with tarfile.open(fileobj=file) as archive:
        member = only_weights_file(members_of_tar(archive), "a tar archive")
        return _member(member.name, member.open().read(), path, depth)


def _member(name: str, data: bytes, path: Path, depth: int) -> tuple[Any, tuple[str, ...]]:
    content, notes = _read(io.BytesIO(data), path, depth - 1)
    return content, (f"'{name}' was read out of the archive", *notes)


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return f"its pickle cannot be read ({error})"
    if isinstance(error, zipfile.BadZipFile) and "not a zip file" in str(error):
        return "its end is missing, as after an interrupted transfer"
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__


def _damaged(path: Path, reason: str, help: str) -> CheckpointError:
    return CheckpointError("K405", f"{printable(path)}: {reason}", help)


def _other(path: Path, other: Other) -> CheckpointError:
    return CheckpointError("K485", f"{printable(path)} is {other.what}; expected a weights file", other.help)
