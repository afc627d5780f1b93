from __future__ import annotations

import threading
import time

import pytest

from pixelwise.prediction.background import in_background


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


def test_there_are_as_many_threads_as_asked_for():
    all_there = threading.Barrier(3, timeout=20)

    # Each call waits until three of them run.
    assert len(list(in_background(lambda _: all_there.wait(), range(6), ahead=3, threads=3))) == 6


def test_no_items_give_no_results():
    assert list(in_background(str, [], ahead=3)) == []
