"""Pairs of 64-bit hashes that differ in few bits, found without comparing every hash with every other one.

If two hashes differ in at most d bits, one of their four parts of 16 bits differs in at most d // 4 bits (the
pigeonhole principle; Norouzi, Punjani, Fleet 2014, "Fast exact search in Hamming space with multi-index hashing").
So only hashes that share such a part are compared, and no pair is missed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

_PARTS, _BITS = 4, 16
# Hashes whose parts are looked up together, and comparisons that are made together: both bound the memory.
_LOOKED_UP = 2048
_COMPARED = 1 << 19


def near_pairs(
    first: np.ndarray, second: np.ndarray, most_bits: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Find all pairs of hashes that differ in at most `most_bits` bits, some hashes of `second` at a time.

    Args:
        first: uint64 (N,).
        second: uint64 (M,).
        most_bits: Largest number of differing bits.

    Yields:
        Positions in `second`, positions in `first`, both int64, and numbers of differing bits, uint8: sorted by the two
        positions. All pairs of one hash of `second` come together.
    """
    if not len(first) or not len(second):
        return
    index = [_sorted_by_part(first, part) for part in range(_PARTS)]
    flips = _flips(most_bits // _PARTS)
    for start in range(0, len(second), _LOOKED_UP):
        some = second[start : start + _LOOKED_UP]
        # Where the hashes of `first` begin that share a part, and how many there are: (hash, part and flip).
        begins, numbers = (np.concatenate(sides, axis=1) for sides in zip(*_looked_up(some, index, flips), strict=True))
        totals = np.cumsum(numbers.sum(axis=1))
        done = 0
        while done < len(some):
            before = int(totals[done - 1]) if done else 0
            upto = max(done + 1, int(np.searchsorted(totals, before + _COMPARED, side="right")))
            rows, columns = _compared(begins[done:upto], numbers[done:upto], index, len(flips))
            distances = np.bitwise_count(some[done:upto][rows] ^ first[columns])
            near = distances <= most_bits
            # Hashes that share several parts were compared several times.
            pairs = np.unique(rows[near] * len(first) + columns[near])
            rows, columns = pairs // len(first) + done, pairs % len(first)
            if len(rows):
                yield rows + start, columns, np.bitwise_count(some[rows] ^ first[columns])
            done = upto


def runs(begins: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The positions of several runs, one after the other.

    Args:
        begins: int64 (N,), the first position of every run.
        numbers: int64 (N,), lengths of the runs.
    """
    ends = np.cumsum(numbers)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + numbers, numbers)


def _sorted_by_part(hashes: np.ndarray, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of hashes by the value of one part, and where each of the 65,536 values begins among them."""
    values = _part(hashes, part)
    begins = np.zeros((1 << _BITS) + 1, np.int64)
    np.cumsum(np.bincount(values, minlength=1 << _BITS), out=begins[1:])
    return np.argsort(values, kind="stable"), begins


def _part(hashes: np.ndarray, part: int) -> np.ndarray:
    return (hashes >> np.uint64(part * _BITS) & np.uint64((1 << _BITS) - 1)).astype(np.int64)


def _flips(most_bits: int) -> np.ndarray:
    """Every pattern of at most `most_bits` bits of a part."""
    return np.array(
        [
            sum(1 << bit for bit in bits)
            for number in range(most_bits + 1)
            for bits in itertools.combinations(range(_BITS), number)
        ],
        np.int64,
    )


def _looked_up(
    hashes: np.ndarray, index: list[tuple[np.ndarray, np.ndarray]], flips: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for part, (_, begins) in enumerate(index):
        wanted = _part(hashes, part)[:, None] ^ flips[None]
        yield begins[wanted], begins[wanted + 1] - begins[wanted]


def _compared(
    begins: np.ndarray, numbers: np.ndarray, index: list[tuple[np.ndarray, np.ndarray]], flips: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `begins` and positions in `first` of everything that shares a part."""
    rows, columns = [], []
    for part, (order, _) in enumerate(index):
        chosen = slice(part * flips, (part + 1) * flips)
        begin, number = begins[:, chosen].ravel(), numbers[:, chosen].ravel()
        rows.append(np.repeat(np.arange(len(begin)) // flips, number))
        columns.append(order[runs(begin, number)])
    return np.concatenate(rows), np.concatenate(columns)
