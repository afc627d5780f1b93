from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from pixelwise.datasets.samples import Sample
from pixelwise.evaluation.pairs import (
    EvaluationPair,
    batches_of_equal_size,
    fit_to_protocol,
    in_background,
)
from pixelwise.recipes.protocols import PROTOCOLS


def pair(name: str, size: tuple[int, int]) -> EvaluationPair:
    sample = Sample(name, None, None)  # type: ignore[arg-type]
    return EvaluationPair(sample, np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))


def test_results_come_in_the_order_of_the_items():
    def slow_when_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * 10

    assert list(in_background(slow_when_even, range(20), ahead=4)) == [number * 10 for number in range(20)]


def test_no_more_items_are_begun_than_asked_for():
    begun = []

    results = in_background(lambda number: begun.append(number), iter(range(1000)), ahead=3)
    for _ in range(5):
        next(results)
    results.close()

    assert 5 <= len(begun) <= 5 + 3


def test_an_exception_is_raised_where_its_result_would_have_been():
    results = in_background(lambda number: 6 // (3 - number), range(10), ahead=2)

    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_the_threads():
    before = threading.active_count()
    results = in_background(str, range(100), ahead=5)
    next(results)

    results.close()

    assert threading.active_count() == before


def test_nothing_in_gives_nothing_out():
    assert list(in_background(str, [], ahead=3)) == []


def test_batches_hold_consecutive_images_of_equal_size():
    pairs = [pair("a", (2, 2)), pair("b", (2, 2)), pair("c", (2, 2)), pair("d", (3, 2)), pair("e", (2, 2))]

    names = [[entry.sample.id for entry in batch] for batch in batches_of_equal_size(pairs, 2)]

    assert names == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_native_protocol_leaves_both_as_they_are():
    image, labels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["native"], None)

    assert seen is image
    assert truth is labels


def test_enet_on_cityscapes_sees_and_scores_half_the_resolution():
    image, labels = np.zeros((1024, 2048, 3), np.uint8), np.zeros((1024, 2048), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["enet-1024x512"], (100, 100))

    assert seen.shape == (512, 1024, 3)
    assert truth.shape == (512, 1024)


def test_camvid_files_pass_untouched_through_their_protocol():
    image, labels = np.zeros((360, 480, 3), np.uint8), np.zeros((360, 480), np.uint8)

    seen, truth = fit_to_protocol(image, labels, PROTOCOLS["camvid-480x360"], (360, 480))

    assert seen is image
    assert truth is labels
