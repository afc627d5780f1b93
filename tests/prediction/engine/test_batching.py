from __future__ import annotations

import pytest

from pixelwise.prediction.engine.batching import Batch, Limits, batches, in_order


def grouped(text: str, limits: Limits, weight: int = 1) -> list[str]:
    """Batches of a text whose letters are sizes: the letters of each batch with their places."""
    found = batches(text, lambda letter: letter, lambda _: weight, limits)
    return ["".join(f"{letter}{place}" for place, letter in zip(*batch, strict=True)) for batch in found]


def test_items_of_equal_size_share_a_batch_within_a_window():
    # Windows of 2 x 2 items: abab, aaaa, b.
    assert grouped("ababaaaab", Limits(pixels=100, items=2)) == ["a0a2", "b1b3", "a4a5", "a6a7", "b8"]


def test_a_batch_has_no_more_pixels_than_allowed_but_one_item_may():
    # Windows of 2 x 10 pixels.
    assert grouped("aabaaa", Limits(pixels=10, items=9), weight=4) == ["a0a1", "b2", "a3a4", "a5"]
    assert grouped("aaa", Limits(pixels=10, items=9), weight=11) == ["a0", "a1", "a2"]


def test_items_without_pixels_are_bounded_by_their_number():
    assert grouped("eeeee", Limits(pixels=1, items=2), weight=0) == ["e0e1", "e2e3", "e4"]


def test_no_more_than_a_window_is_read_ahead():
    read = []
    stream = batches((read.append(number) or number for number in range(99)), lambda _: 0, lambda _: 1, Limits(99, 3))

    assert next(stream) == Batch((0, 1, 2), (0, 1, 2))
    # Two full batches, and the item that no longer fits.
    assert len(read) == 7


def test_an_error_of_the_stream_comes_after_the_items_before_it():
    def failing():
        yield from "ab"
        raise OSError("the drive is gone")

    found = batches(failing(), lambda letter: letter, lambda _: 1, Limits(9, 9))

    assert [batch.items for batch in (next(found), next(found))] == [("a",), ("b",)]
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_items_come_back_in_their_order_as_soon_as_they_can():
    come = []
    stream = iter([Batch((0, 2), ("a", "c")), Batch((1,), ("b",)), Batch((3,), ("d",))])
    ordered = in_order(come.append(batch.places) or batch for batch in stream)

    assert next(ordered) == "a"
    assert come == [(0, 2)]
    assert list(ordered) == ["b", "c", "d"]
    assert list(in_order([])) == []
