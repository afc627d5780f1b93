"""Archives that hold weights: those of torch.save and TorchScript, numpy's, and ordinary ones around a weights file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pixelwise.checkpoints.files.inert import Storage
from pixelwise.checkpoints.files.kinds import HEAD, STATE_DICT, Other
from pixelwise.checkpoints.files.pickles import in_own_order, read_exactly, read_pickle
from pixelwise.storage.names import some

PICKLE = "data.pkl"


class Member(NamedTuple):
    """A file within an archive.

    Attributes:
        name: Its path there.
        open: Opens it for reading.
    """

    name: str
    open: Callable[[], BinaryIO]


class Unread(Exception):
    """Raised for an archive that holds no weights that can be read: what it is, and what to do."""

    def __init__(self, other: Other) -> None:
        super().__init__(other.what)
        self.other = other


class Several(Exception):
    """Raised for an archive with several weights files: their names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(", ".join(self.names))


def read_torch_archive(archive: zipfile.ZipFile, file: BinaryIO) -> tuple[Any, tuple[str, ...]] | None:
    """Content of an archive of torch.save or TorchScript, still to be settled, and notes; None for other archives.

    Raises:
        EOFError, KeyError, zipfile.BadZipFile: Numbers are missing or damaged.
        Unread: The archive is a program of torch.export or a frozen TorchScript network.
    """
    names = archive.namelist()
    pickles = [name for name in names if PurePosixPath(name).name == PICKLE and name.count("/") <= 1]
    if not pickles:
        _refuse_programs(names)
        return None
    prefix = pickles[0].removesuffix(PICKLE)
    storages: dict[str, Storage] = {}
    records = _Records(archive, file)
    content = read_pickle(io.BytesIO(records.read(pickles[0])), storages)
    order = records.read(f"{prefix}byteorder").strip() if f"{prefix}byteorder" in names else b"little"
    for key, storage in storages.items():
        data = records.read(f"{prefix}data/{key}")
        if len(data) < storage.nbytes:
            raise EOFError(f"storage {key} has {len(data)} bytes, expected {storage.nbytes}")
        storage.data = in_own_order(bytearray(data), storage.dtype, little=order == b"little")
    notes = ["the file was written without checksums, so damage in it would not be noticed"] if records.wrong else []
    if any(name.startswith(f"{prefix}code/") for name in names):
        notes.append("the weights were read out of a TorchScript archive without running it")
        if not storages:
            raise Unread(Other("a frozen TorchScript network, whose weights lost their names", STATE_DICT))
    return content, tuple(notes)


class _Records:
    """Reads the files of an archive, and compares them with its checksums."""

    def __init__(self, archive: zipfile.ZipFile, file: BinaryIO) -> None:
        self.archive, self.file = archive, file
        self.right = 0
        self.wrong: list[str] = []

    def read(self, name: str) -> bytes | bytearray:
        """Content of one file.

        Raises:
            zipfile.BadZipFile: It differs from its checksum, although others do not.
        """
        try:
            data = self.archive.read(name)
            self.right += bool(data)
        except zipfile.BadZipFile as error:
            if "CRC" not in str(error):
                raise
            # torch.save leaves the checksums out on request; then none of them is right.
            data = self._without_checksum(name)
            self.wrong.append(name)
        if self.wrong and self.right:
            raise zipfile.BadZipFile(f"{self.wrong[0]} differs from its checksum")
        return data

    def _without_checksum(self, name: str) -> bytearray:
        info = self.archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f"{name} differs from its checksum")
        self.file.seek(info.header_offset + 26)
        lengths = read_exactly(self.file, 4)
        self.file.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        return read_exactly(self.file, info.file_size)


def _refuse_programs(names: list[str]) -> None:
    parts = {PurePosixPath(name).name for name in names}
    if "serialized_exported_program.json" in parts or ("archive_format" in parts and "model.json" in parts):
        raise Unread(Other("a program of torch.export, a graph for inference", STATE_DICT))
    if "model.weights.h5" in parts:
        raise Unread(
            Other(
                "a Keras model, whose tensors have Keras' names and layout",
                "convert them to the names of a PyTorch network and save them with torch.save",
            )
        )


def read_npz(archive: zipfile.ZipFile) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """Arrays of an archive of numpy by their names, and notes on what holds no numbers; None for other archives."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if not names or not all(name.endswith(".npy") for name in names):
        return None
    arrays, left = {}, []
    for name in names:
        key = name.removesuffix(".npy")
        try:
            arrays[key] = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            left.append(key)
    return arrays, tuple(f"'{key}' holds Python objects and was left out" for key in left)


def members_of_zip(archive: zipfile.ZipFile) -> list[Member]:
    """The files in a zip archive."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    return [Member(name, lambda name=name: io.BytesIO(archive.read(name))) for name in names]


def members_of_tar(archive: tarfile.TarFile) -> list[Member]:
    """The files in a tar archive, which are never unpacked to the disk."""

    def opened(info: tarfile.TarInfo) -> BinaryIO:
        return archive.extractfile(info) or io.BytesIO()  # type: ignore[return-value]

    return [Member(info.name, lambda info=info: opened(info)) for info in archive.getmembers() if info.isfile()]


def only_weights_file(members: list[Member], what: str) -> Member:
    """The one weights file among the files of an archive.

    Raises:
        Unread: There is none.
        Several: There are several.
    """
    found = [member for member in members if _looks_like_weights(member)]
    if len(found) > 1:
        raise Several(member.name for member in found)
    if not found:
        names = [member.name for member in members]
        if {"storages", "tensors", "pickle"} <= set(names):
            raise Unread(Other("a file of PyTorch before 0.2", "load and save it again with a PyTorch of 0.4 to 1.5"))
        tensorflow = any(name.endswith(".index") or name.endswith("saved_model.pb") for name in names)
        held = f"{'TensorFlow weights' if tensorflow else 'no weights file in it'} ({some(names, 4) or 'empty'})"
        raise Unread(Other(f"{what} with {held}", STATE_DICT if tensorflow else "give the weights file instead"))
    return found[0]


def _looks_like_weights(member: Member) -> bool:
    if PurePosixPath(member.name).name.startswith("."):
        return False
    with member.open() as file:
        head = file.read(HEAD)
    pickled = len(head) > 1 and head[0] == 0x80 and head[1] in range(2, 6)
    return pickled or head.startswith(b"PK\x03\x04") or (head[8:9] == b"{" and head[4:8] == bytes(4))


def decompressed(file: BinaryIO) -> BinaryIO:
    """Content of a file compressed with gzip, bzip2 or xz.

    Raises:
        EOFError, OSError, lzma.LZMAError: It is damaged.
    """
    file.seek(0)
    head = file.read(3)
    file.seek(0)
    reader = gzip.open if head[:2] == b"\x1f\x8b" else bz2.open if head == b"BZh" else lzma.open
    with reader(file) as content:
        return io.BytesIO(content.read())
