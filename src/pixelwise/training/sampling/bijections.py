"""Shuffles of any number of samples that are computed position by position and take no memory.

A Feistel network with four or more rounds is a bijection of the numbers of an even number of bits (Luby and Rackoff,
"How to construct pseudorandom permutations from pseudorandom functions", 1988), whatever its round function. Numbers
beyond the samples are mapped again until they are one (cycle walking; Black and Rogaway, "Ciphers with arbitrary finite
domains", 2002), which is again a bijection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

MOST_PERMUTED = 1 << 24
"""Largest number of samples whose order is a permutation in memory; the order of more of them is computed."""
MOST_SAMPLES = 1 << 62
"""Largest number of samples that can be shuffled."""
_ROUNDS = 8
_FACTORS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_SHIFT = np.uint64(33)


class Shuffle:
    """A bijection of 0..`size` - 1, drawn by a key: position in the shuffled order -> index of the sample.

    Args:
        size: Number of samples, up to `MOST_SAMPLES`.
        key: Numbers of at least 0; every other key gives another order.

    Raises:
        ValueError: There are no samples or too many of them.
    """

    def __init__(self, size: int, key: Sequence[int]) -> None:
        if not 1 <= size <= MOST_SAMPLES:
            raise ValueError(f"{size} samples; expected 1 to {MOST_SAMPLES}")
        self.size = size
        # Two halves of equal length: at most four numbers for every sample.
        self._half = np.uint64(((size - 1).bit_length() + 1) // 2)
        self._mask = (np.uint64(1) << self._half) - np.uint64(1)
        # NumPy promises that a seed gives the same numbers in every version.
        self._keys = np.random.SeedSequence(tuple(key)).generate_state(_ROUNDS, np.uint64)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """The samples at some positions.

        Args:
            positions: Integers (N,), each in 0..`size` - 1.

        Returns:
            int64 (N,).
        """
        found = self._mapped(positions.astype(np.uint64))
        outside = np.flatnonzero(found >= self.size)
        while outside.size:
            found[outside] = self._mapped(found[outside])
            outside = outside[found[outside] >= self.size]
        return found.astype(np.int64)

    def _mapped(self, numbers: np.ndarray) -> np.ndarray:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & self._mask)
        return left << self._half | right


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3: every bit of the result depends on every bit of the number."""
    for factor in _FACTORS:
        numbers = (numbers ^ numbers >> _SHIFT) * factor
    return numbers ^ numbers >> _SHIFT


class ShuffledBatches(Sequence[np.ndarray]):
    """The batches of a shuffled epoch; each is computed when it is asked for.

    Args:
        shuffle: The order of the samples.
        batch_size: Number of samples of every batch but the last.
        batches: Numbers of the batches, counted from the beginning of the epoch.
    """

    def __init__(self, shuffle: Shuffle, batch_size: int, batches: range) -> None:
        self._shuffle, self._batch_size, self._batches = shuffle, batch_size, batches

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, position: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, position: slice) -> ShuffledBatches: ...
    def __getitem__(self, position: int | slice) -> np.ndarray | ShuffledBatches:
        if isinstance(position, slice):
            return ShuffledBatches(self._shuffle, self._batch_size, self._batches[position])
        start = self._batches[position] * self._batch_size
        return self._shuffle[np.arange(start, min(start + self._batch_size, self._shuffle.size), dtype=np.int64)]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[position] for position in range(len(self)))
