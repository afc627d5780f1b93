import numpy as np
import pytest

from pixelwise.datasets.auditing import hamming
from pixelwise.datasets.auditing.hamming import near_pairs


def found(first: np.ndarray, second: np.ndarray, most_bits: int = 6) -> list[tuple[int, int, int]]:
    blocks = near_pairs(first, second, most_bits)
    return [tuple(pair) for block in blocks for pair in zip(*(side.tolist() for side in block), strict=True)]


def by_comparing_all(first: np.ndarray, second: np.ndarray, most_bits: int) -> list[tuple[int, int, int]]:
    return [
        (row, column, bits)
        for row, one in enumerate(second.tolist())
        for column, other in enumerate(first.tolist())
        if (bits := (one ^ other).bit_count()) <= most_bits
    ]


def crowded(random: np.random.Generator, number: int) -> np.ndarray:
    """Hashes around three centres, of which each differs in 0 to 9 bits; random hashes alone are never near."""
    centers = random.integers(0, 2**64, 3, np.uint64)
    bits = [random.choice(64, random.integers(10), replace=False) for _ in range(number)]
    flips = np.array([sum(1 << int(bit) for bit in some) for some in bits], np.uint64)
    return centers[random.integers(0, 3, number)] ^ flips


@pytest.mark.parametrize("most_bits", [0, 3, 4, 6, 8])
def test_pairs_are_those_of_comparing_all(most_bits: int):
    random = np.random.default_rng(most_bits)
    hashes = crowded(random, 220)
    first, second = hashes[:120], hashes[120:]
    expected = by_comparing_all(first, second, most_bits)
    assert found(first, second, most_bits) == expected
    assert {bits for _, _, bits in expected} == set(range(most_bits + 1))


def test_six_bits_however_they_lie_are_found_and_seven_are_not():
    zero = np.zeros(1, np.uint64)
    random = np.random.default_rng(0)
    places = [random.choice(64, 7, replace=False) for _ in range(300)]
    six, seven = (np.array([sum(1 << int(p) for p in some[:n]) for some in places], np.uint64) for n in (6, 7))
    assert found(zero, six) == [(row, 0, 6) for row in range(300)]
    assert found(zero, seven) == []


def test_small_parts_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch):
    first, second = crowded(np.random.default_rng(1), 90), crowded(np.random.default_rng(1), 70)
    whole = found(first, second)
    monkeypatch.setattr(hamming, "_COMPARED", 5)
    monkeypatch.setattr(hamming, "_LOOKED_UP", 3)
    assert found(first, second) == whole


def test_nothing_is_near_no_hash():
    some, none = np.ones(2, np.uint64), np.zeros(0, np.uint64)
    assert found(none, some) == found(some, none) == found(none, none) == []
