import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.training.sampling.bijections import MOST_SAMPLES, Shuffle, ShuffledBatches


def whole(shuffle: Shuffle) -> np.ndarray:
    return shuffle[np.arange(shuffle.size)]


def by_hand(size: int, key: tuple[int, ...], position: int) -> int:
    """The same bijection in Python's integers, without NumPy's arithmetic."""
    half = ((size - 1).bit_length() + 1) // 2
    mask, word = (1 << half) - 1, (1 << 64) - 1
    keys = [int(one) for one in np.random.SeedSequence(key).generate_state(8, np.uint64)]
    while True:
        left, right = position >> half, position & mask
        for one in keys:
            mixed = (right + one) & word
            for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
                mixed = (mixed ^ mixed >> 33) * factor & word
            mixed ^= mixed >> 33
            left, right = right, left ^ (mixed & mask)
        position = left << half | right
        if position < size:
            return position


def test_every_small_size_is_shuffled_without_loss():
    for size in range(1, 400):
        assert np.sort(whole(Shuffle(size, (0, size)))).tolist() == list(range(size))


@given(size=st.integers(1, 200_000), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
def test_any_size_is_shuffled_without_loss(size: int, seed: int, epoch: int):
    found = whole(Shuffle(size, (seed, epoch)))
    assert found.dtype == np.int64
    assert np.bincount(found, minlength=size).tolist() == [1] * size


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 10**6])
def test_a_million_samples(size: int):
    found = whole(Shuffle(size, (7, 3)))
    assert np.array_equal(np.sort(found), np.arange(size))


@given(
    size=st.integers(1, MOST_SAMPLES),
    key=st.tuples(st.integers(0, 2**32), st.integers(0, 5)),
    data=st.data(),
)
def test_numpy_computes_what_integers_do(size: int, key: tuple[int, int], data: st.DataObject):
    positions = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5))
    found = Shuffle(size, key)[np.array(positions)]
    assert found.tolist() == [by_hand(size, key, one) for one in positions]
    assert ((found >= 0) & (found < size)).all()


@given(size=st.integers(2**24, MOST_SAMPLES), start=st.floats(0, 1, exclude_max=True))
def test_neighbours_of_any_size_are_distinct(size: int, start: float):
    begin = int(start * (size - 1000))
    found = Shuffle(size, (1,))[np.arange(begin, begin + 1000)]
    assert len(set(found.tolist())) == 1000


def test_the_order_depends_on_every_part_of_the_key():
    orders = [whole(Shuffle(1000, key)).tolist() for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == whole(Shuffle(1000, (0, 0, 0))).tolist()


@pytest.mark.heavy
def test_the_order_is_as_good_as_a_random_one():
    # Bounds: five standard deviations of a random permutation.
    size = 100_003
    found = whole(Shuffle(size, (5, 0))).astype(np.float64)
    assert abs(np.corrcoef(found, np.arange(size))[0, 1]) < 5 / np.sqrt(size)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 5 / np.sqrt(size)
    # Each tenth of the order holds each tenth of the samples alike.
    table, _, _ = np.histogram2d(np.arange(size), found, bins=10)
    expected = size / 100
    assert np.abs(table - expected).max() < 5 * np.sqrt(expected)
    # Which sample comes first is uniform over the epochs.
    first = [int(Shuffle(10, (0, epoch))[np.array([0])][0]) for epoch in range(5000)]
    assert np.abs(np.bincount(first, minlength=10) - 500).max() < 5 * np.sqrt(500)


def test_a_trillion_samples_take_no_memory_and_no_time():
    tracemalloc.start()
    begin = time.process_time()
    batches = ShuffledBatches(Shuffle(10**12, (0, 0, 41)), 1024, range(10**12 // 1024))
    found = [batches[10**9 * number // 1024] for number in range(10)]
    seconds = time.process_time() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({int(index) for one in found for index in one}) == 10 * 1024
    assert max(int(one.max()) for one in found) > 9 * 10**11
    assert peak < 1_000_000
    assert seconds < 0.5


@pytest.mark.heavy
@given(size=st.integers(1, 500), batch=st.integers(1, 40), data=st.data())
def test_batches_are_positions_of_the_order(size: int, batch: int, data: st.DataObject):
    shuffle = Shuffle(size, (2,))
    count = -(-size // batch)
    batches = ShuffledBatches(shuffle, batch, range(count))
    order = whole(shuffle).tolist()
    assert [index for one in batches for index in one.tolist()] == order
    begin = data.draw(st.integers(0, count))
    assert [one.tolist() for one in batches[begin:]] == [one.tolist() for one in batches][begin:]
    assert len(batches[begin:]) == count - begin
    assert batches[-1].tolist() == order[(count - 1) * batch :]
    with pytest.raises(IndexError):
        batches[count]


@pytest.mark.parametrize("size", [0, -1, MOST_SAMPLES + 1])
def test_impossible_sizes_are_refused(size: int):
    with pytest.raises(ValueError, match="samples"):
        Shuffle(size, (0,))
