"""Tensors that wait for the next row of windows, in memory up to a number of bytes, the others in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, NamedTuple

import torch
from torch import Tensor

from pixelwise.storage.atomic import full_disk_explained


class _Stored(NamedTuple):
    """A tensor in the file."""

    offset: int
    dtype: torch.dtype
    shape: torch.Size


class Waiting:
    """Tensors of one row of windows. What does not fit into memory goes to a temporary file.

    Args:
        folder: Folder of the file, which is only made when it is needed and vanishes with this object.
        most: Number of bytes that are kept in memory.

    Attributes:
        size: Number of bytes that are in memory now.
        spilled: Number of bytes that are in the file.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._found: list[Tensor | _Stored] = []
        self._file: IO[bytes] | None = None
        self.size = self.spilled = 0

    def put(self, values: Tensor) -> int:
        """Keep a tensor, whose memory is not shared; returns its number.

        Raises:
            ResourceError: S601, the disk is full.
        """
        values = values.cpu().clone(memory_format=torch.contiguous_format)
        if self.size + values.nbytes <= self._most:
            self.size += values.nbytes
            self._found.append(values)
        else:
            with full_disk_explained(self._folder, values.nbytes):
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by `close`)
                offset = self._file.seek(0, 2)
                self._file.write(values.flatten().view(torch.uint8).numpy().data)
            self.spilled += values.nbytes
            self._found.append(_Stored(offset, values.dtype, values.shape))
        return len(self._found) - 1

    def get(self, number: int) -> Tensor:
        """The tensor of a number."""
        found = self._found[number]
        if isinstance(found, Tensor):
            return found
        if self._file is None:
            raise AssertionError("what was stored has a file")
        self._file.seek(found.offset)
        content = bytearray(self._file.read(found.shape.numel() * found.dtype.itemsize))
        return torch.frombuffer(content, dtype=found.dtype).reshape(found.shape)

    def close(self) -> None:
        """Forget everything."""
        self._found = []
        self.size = self.spilled = 0
        if self._file is not None:
            self._file.close()
            self._file = None
