from __future__ import annotations

import pytest
import torch

from pixelwise.layers.padding import pad_to, pad_to_multiple, round_up


def test_the_last_row_and_column_are_repeated_at_the_bottom_and_on_the_right() -> None:
    images = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])

    padded = pad_to(images, 3, 4)

    assert padded.tolist() == [[[[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]]]


def test_one_pixel_fills_the_whole_image() -> None:
    assert torch.equal(pad_to(torch.full((1, 3, 1, 1), 7.0), 8, 8), torch.full((1, 3, 8, 8), 7.0))


def test_nothing_is_copied_when_the_size_is_right() -> None:
    images = torch.zeros(2, 3, 4, 5)

    assert pad_to(images, 4, 5) is images


def test_images_grow_to_the_next_multiples() -> None:
    images = torch.zeros(1, 3, 33, 64)

    assert pad_to_multiple(images, 32).shape == (1, 3, 64, 64)
    assert pad_to_multiple(images, 1) is images


@pytest.mark.parametrize(("length", "multiple", "expected"), [(1, 8, 8), (8, 8, 8), (9, 8, 16), (5, 1, 5)])
def test_lengths_are_rounded_up_to_a_multiple(length: int, multiple: int, expected: int) -> None:
    assert round_up(length, multiple) == expected
