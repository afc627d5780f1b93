from __future__ import annotations

import math

import pytest
import torch

from pixelwise.layers.attention.positions import EPS, sine_positions


def test_rows_come_first_and_both_are_counted_from_one_to_a_full_turn() -> None:
    found = sine_positions(2, 4, 8, torch.zeros((), dtype=torch.float64))

    assert found.shape == (8, 8)
    row, column = 2 * math.pi * 2 / (2 + EPS), 2 * math.pi * 3 / (4 + EPS)  # of pixel 6, in row 1 and column 2
    waves = [
        fraction(angle / slower) for angle in (row, column) for slower in (1, 100) for fraction in (math.sin, math.cos)
    ]
    assert found[6].tolist() == pytest.approx(waves)


def test_the_last_pixel_has_the_same_position_in_maps_of_all_sizes() -> None:
    like = torch.zeros((), dtype=torch.float64)
    assert torch.allclose(sine_positions(3, 5, 16, like)[-1], sine_positions(30, 41, 16, like)[-1], atol=1e-5)


def test_positions_are_computed_in_float32_and_then_rounded() -> None:
    found = sine_positions(40, 40, 16, torch.zeros((), dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, sine_positions(40, 40, 16, torch.zeros(())).bfloat16())
