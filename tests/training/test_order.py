import time
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.recipes.lengths import batches_per_epoch, steps_per_epoch
from pixelwise.recipes.schema.recipe import Sampling
from pixelwise.training import order
from pixelwise.training.order import BatchPlan, augmentation_random, epoch_batches


@given(n=st.integers(2, 50), batch=st.integers(1, 9), epoch=st.integers(0, 3), drop=st.booleans())
def test_an_epoch_shows_every_image_at_most_once_and_drops_only_the_rest(n: int, batch: int, epoch: int, drop: bool):
    sampling = Sampling(batch_size=batch, drop_last=drop)
    batches = epoch_batches(n, sampling, epoch)
    seen = np.concatenate([*batches, np.array([], int)])
    assert len(set(seen.tolist())) == len(seen)
    assert len(batches) == batches_per_epoch(n, sampling)
    rest = n % batch
    lost = rest if drop or (rest == 1 and batch > 1) else 0
    assert len(seen) == n - lost


def test_the_order_changes_with_epoch_and_seed_and_nothing_else():
    sampling = Sampling(batch_size=100)
    first = epoch_batches(100, sampling, 0)[0].tolist()
    assert first == epoch_batches(100, sampling, 0)[0].tolist()
    assert first != epoch_batches(100, sampling, 1)[0].tolist()
    assert first != epoch_batches(100, Sampling(batch_size=100, seed=1), 0)[0].tolist()


def test_augmentation_depends_on_seed_epoch_and_image():
    draws = {augmentation_random(*key).random() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(draws) == 4
    assert augmentation_random(0, 2, 3).random() == augmentation_random(0, 2, 3).random()


@given(start=st.integers(0, 20), accumulate=st.integers(1, 3), n=st.integers(7, 23))
def test_a_plan_from_the_middle_is_the_tail_of_the_whole_plan(start: int, accumulate: int, n: int):
    sampling = Sampling(batch_size=2, accumulate=accumulate)
    whole = list(BatchPlan(n, sampling, 0, 20))
    assert len(whole) == 20 * accumulate
    assert list(BatchPlan(n, sampling, start, 20)) == whole[start * accumulate :]


def test_a_plan_continues_from_its_position():
    plan = BatchPlan(10, Sampling(batch_size=2), 0, 9)
    whole = list(plan)
    for _ in range(4):
        plan.advance()
    assert list(plan) == whole[4:]
    assert plan.remaining == 5


@given(n=st.integers(2, 60), batch=st.integers(1, 9), epoch=st.integers(0, 3), drop=st.booleans())
def test_the_order_of_many_samples_has_the_same_batches_as_that_of_few(n: int, batch: int, epoch: int, drop: bool):
    sampling = Sampling(batch_size=batch, drop_last=drop)
    few = epoch_batches(n, sampling, epoch)
    with mock.patch.object(order, "MOST_PERMUTED", 1):
        many = epoch_batches(n, sampling, epoch)
    assert [len(one) for one in many] == [len(one) for one in few]
    seen = [int(index) for one in many for index in one]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(n))


@pytest.mark.heavy
@given(start=st.integers(0, 20), accumulate=st.integers(1, 3), n=st.integers(7, 23))
def test_a_plan_of_many_samples_continues_anywhere(start: int, accumulate: int, n: int):
    sampling = Sampling(batch_size=2, accumulate=accumulate)
    with mock.patch.object(order, "MOST_PERMUTED", 1):
        whole = list(BatchPlan(n, sampling, 0, 20))
        assert list(BatchPlan(n, sampling, start, 20)) == whole[start * accumulate :]
    assert whole != list(BatchPlan(n, sampling, 0, 20))


@pytest.mark.parametrize("n", [10**9, 10**12])
def test_a_plan_of_a_billion_samples_continues_at_once(n: int):
    sampling = Sampling(batch_size=64)
    tracemalloc.start()
    begin = time.process_time()
    keys = next(iter(BatchPlan(n, sampling, 123_456_789, 10**9)))
    seconds = time.process_time() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    epoch, position = divmod(123_456_789, steps_per_epoch(n, sampling))
    assert keys == [(epoch, int(index)) for index in epoch_batches(n, sampling, epoch)[position]]
    assert peak < 1_000_000
    assert seconds < 0.1  # 0.4 ms on a quiet machine


def test_the_largest_number_of_samples_in_a_permutation_keeps_its_order():
    # Runs of before were ordered so; a change would alter what they resume to.
    assert epoch_batches(100, Sampling(batch_size=8), 3)[0].tolist() == [10, 21, 6, 4, 67, 84, 58, 11]
    assert order.MOST_PERMUTED == 2**24
