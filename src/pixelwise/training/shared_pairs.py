"""Decoded pairs in memory that processes share which were not forked from this one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

_BLOCK_BYTES = 1 << 26
"""Pairs lie together in blocks of about this size: systems allow a process only so many shared blocks."""
_ALIGNMENT = 64


class _Place(NamedTuple):
    block: int
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]


class SharedPairs:
    """Decoded pairs by index. A spawned process that gets them pickled maps the same memory.

    Args:
        pairs: Image and labels, of any sizes; taken one at a time.
    """

    def __init__(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self._blocks: list[torch.Tensor] = []
        self._places: list[tuple[_Place, _Place]] = []
        waiting: list[np.ndarray] = []
        size = 0
        for pair in pairs:
            image, labels = (np.ascontiguousarray(array) for array in pair)
            places = []
            for array in (image, labels):
                places.append(_Place(len(self._blocks), size, array.dtype, array.shape))
                size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
                waiting.append(array)
            self._places.append((places[0], places[1]))
            if size >= _BLOCK_BYTES:
                self._blocks.append(_shared(waiting, size))
                waiting, size = [], 0
        if waiting:
            self._blocks.append(_shared(waiting, size))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels; nothing is copied."""
        image, labels = self._places[index]
        return self._array(image), self._array(labels)

    def _array(self, place: _Place) -> np.ndarray:
        return np.ndarray(place.shape, place.dtype, self._blocks[place.block].numpy().data, place.offset)


def _shared(arrays: Iterable[np.ndarray], size: int) -> torch.Tensor:
    """One block of shared memory, uint8 (size,), with the arrays one after the other."""
    block = torch.empty(size, dtype=torch.uint8).share_memory_()
    offset = 0
    for array in arrays:
        block.numpy()[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    return block
