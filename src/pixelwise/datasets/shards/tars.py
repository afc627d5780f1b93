"""Tars of samples: files of a few hundred megabytes, each with many images and masks, which are not compressed.

Members are named as WebDataset reads them: the files of a sample have one name up to the first dot, `0001.jpg` and
`0001.mask.png`. A tar depends on the files alone, not on when, where or by whom it is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from pixelwise.datasets.shards.facts import IGNORED, Shard
from pixelwise.datasets.shards.index import Placed
from pixelwise.storage.names import distinct

MASK = "mask"
"""What a mask is called between the key of a sample and the extension of its file."""
_RECORD = 10_240
"""Tars are a multiple of this long, in bytes."""
_ENDINGS = (".png", f".{MASK}.{IGNORED}.png")


def webdataset_keys(ids: Sequence[str]) -> list[str]:
    """One key for each id: distinct, without a dot in its last part, and a valid name on every system.

    Args:
        ids: Ids of samples, with `/` between their parts.
    """
    undotted = []
    for id in ids:
        folder, slash, name = id.rstrip("/").rpartition("/")
        undotted.append(folder + slash + name.replace(".", "_"))
    return distinct(undotted, endings=_ENDINGS)


def member_names(key: str, image: Path, masks: Iterable[Path | None], *, multilabel: bool) -> list[str]:
    """The names of the files of a sample, the image first; empty for a mask that there is not.

    Args:
        key: Key of the sample.
        image: The image, whose extension is kept.
        masks: The mask, or for multi-label data one per class and that of the ignored pixels.
        multilabel: Whether there is one mask per class.
    """
    names = [key + _extension(image)]
    files = list(masks)
    for position, mask in enumerate(files):
        role = IGNORED if position == len(files) - 1 else str(position)
        infix = f".{MASK}.{role}" if multilabel else f".{MASK}"
        names.append("" if mask is None else f"{key}{infix}{_extension(mask)}")
    return names


def _extension(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if suffix.isascii() and suffix[1:].isalnum() else ".bin"


class TarWriter:
    """Writes tars of at most a given size, one after the other; a sample is never divided.

    Args:
        folder: Folder for the tars.
        size: Bytes from which the next tar is begun; one with a single larger sample is larger.
        finished: Called with each tar once it is complete.
    """

    def __init__(self, folder: Path, size: int, finished: Callable[[Shard], None] = lambda shard: None) -> None:
        self._folder, self._size, self._finished = folder, size, finished
        self._file: BinaryIO | None = None
        self._name, self._split, self._number = "", "", 0
        self.shards: list[Shard] = []

    def add(self, split: str, files: Sequence[tuple[str, bytes] | None]) -> tuple[int, list[Placed | None]]:
        """Write the files of a sample; those of other splits are in other tars.

        Args:
            split: Its split, a name that every system accepts.
            files: Name and content of each file; None where there is none.

        Returns:
            The position of the tar in `shards`, and the places of the files.
        """
        headers = [None if one is None else _header(one[0], len(one[1])) for one in files]
        needed = sum(len(head) + _padded(len(one[1])) for head, one in zip(headers, files, strict=True) if head and one)
        file = self._file_for(split, needed)
        placed: list[Placed | None] = []
        for head, one in zip(headers, files, strict=True):
            if head is None or one is None:
                placed.append(None)
                continue
            name, content = one
            file.write(head)
            placed.append(Placed(name, file.tell(), len(content), hashlib.sha256(content).digest()))
            file.write(content)
            file.write(bytes(_padded(len(content)) - len(content)))
        return len(self.shards), placed

    def close(self) -> None:
        """Finish the tar that is being written."""
        if self._file is None:
            return
        with contextlib.closing(self._file) as file:
            end = file.tell() + 2 * tarfile.BLOCKSIZE
            file.write(bytes(-(-end // _RECORD) * _RECORD - file.tell()))
            self.shards.append(Shard(self._name, file.tell()))
        self._file = None
        self._finished(self.shards[-1])

    def abandon(self) -> None:
        """Close the file that is being written, which stays incomplete."""
        if self._file is not None:
            self._file.close()

    def _file_for(self, split: str, needed: int) -> BinaryIO:
        file = self._file
        if file is not None and (split != self._split or (file.tell() and file.tell() + needed > self._size)):
            self.close()
            file = None
        if file is None:
            self._number = self._number + 1 if split == self._split else 0
            self._split, self._name = split, f"{split}-{self._number:06d}.tar"
            file = self._file = open(self._folder / self._name, "xb")  # noqa: SIM115 (closed by `close` or `abandon`)
        return file


def _header(name: str, size: int) -> bytes:
    """The header of a member, whose metadata is the same everywhere."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def header_problem(block: bytes, placed: Placed) -> str:
    """What is wrong with the header before a member, as a phrase; empty if it describes the member.

    Args:
        block: The 512 bytes before the member's content.
        placed: What the index says of it.
    """
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        return f"there is no tar header before it ({error})"
    if not info.isreg() or info.size != placed.size:
        return "the tar header before it describes another file"
    # Names that are long or not ASCII stand in a header of their own.
    if len(placed.name.encode()) <= tarfile.LENGTH_NAME and placed.name.isascii() and info.name != placed.name:
        return "the tar header before it has another name"
    return ""
