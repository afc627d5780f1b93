from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from pixelwise.layers.fake_quantization import FakeQuantization, Rounding, outlier_bound, trimmed_range


def test_a_power_of_two_scale_covers_the_range_and_no_more_than_twice_of_it():
    weights = torch.tensor([-0.3, 0.1, 0.25])
    rounding = FakeQuantization(Rounding("weights", -128, 127, power_of_two=True))
    rounded = rounding(weights)
    scale, zero_point = rounding.scale_and_zero_point()
    # 0.3 is below 0.5 = 2**-1, so 128 steps reach 0.5.
    assert scale.tolist() == [0.5 / 128]
    assert zero_point.tolist() == [0]
    assert rounded.tolist() == [-77 / 256, 26 / 256, 64 / 256]


def test_activations_that_are_never_negative_use_all_256_values():
    rounding = FakeQuantization(Rounding("activations", 0, 255, power_of_two=True))
    rounding(torch.tensor([0.0, 3.0]))
    scale, _ = rounding.scale_and_zero_point()
    assert scale.tolist() == [4 / 256]


def test_a_zero_point_uses_the_range_where_it_lies():
    rounding = FakeQuantization(Rounding("activations", 0, 255, symmetric=False))
    rounded = rounding(torch.tensor([-1.0, 0.0, 4.1]))
    scale, zero_point = rounding.scale_and_zero_point()
    assert scale.item() == pytest.approx(5.1 / 255)
    assert zero_point.tolist() == [50]
    assert rounded.tolist() == pytest.approx([-1.0, 0.0, 4.1])


def test_each_output_channel_has_a_scale_of_its_own():
    rounding = FakeQuantization(Rounding("weights", -127, 127, channels=2))
    weights = torch.tensor([[[[1.27]]], [[[-0.127]]]])
    assert rounding(weights).flatten().tolist() == pytest.approx([1.27, -0.127])
    scale, _ = rounding.scale_and_zero_point()
    assert scale.tolist() == pytest.approx([0.01, 0.001])


def test_the_range_of_activations_is_the_average_over_the_batches():
    rounding = FakeQuantization(Rounding("activations", 0, 255))
    for largest in (1.0, 3.0, 8.0):
        rounding(torch.tensor([0.0, largest]))
    assert rounding.maximum.item() == pytest.approx(4.0)
    rounding.observing = False
    rounding(torch.tensor([0.0, 100.0]))
    assert rounding.maximum.item() == pytest.approx(4.0)
    assert int(rounding.batches) == 3


def test_the_range_of_weights_is_that_of_their_current_values():
    rounding = FakeQuantization(Rounding("weights", -127, 127))
    rounding.observing = False
    for largest in (1.0, 3.0, 0.5):
        rounding(torch.tensor([0.0, largest]))
        assert rounding.maximum.item() == largest


def test_gradients_pass_where_nothing_is_clipped():
    rounding = FakeQuantization(Rounding("activations", 0, 255))
    rounding(torch.tensor([0.0, 1.0]))
    rounding.observing = False
    values = torch.tensor([-0.5, 0.3, 0.9, 2.0], requires_grad=True)
    rounding(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 0]


def test_the_outermost_values_are_left_out_of_a_trimmed_range():
    values = torch.arange(10_000.0)
    assert [bound.item() for bound in trimmed_range(values, 0.0)] == [0, 9999]
    assert [bound.item() for bound in trimmed_range(values, 1e-3)] == [10, 9989]


@example([1.0], (0, 255), True, True)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=30),
    st.sampled_from([(0, 255), (-128, 127)]),
    st.booleans(),
    st.booleans(),
)
def test_zero_stays_zero_and_nothing_in_the_range_moves_by_more_than_half_a_step(values, ends, symmetric, power_of_two):
    low, high = ends
    if low == 0 and symmetric:
        values = [abs(value) for value in values]
    rounding = FakeQuantization(
        Rounding("activations", low, high, symmetric=symmetric, power_of_two=symmetric and power_of_two)
    )
    tensor = torch.tensor([*values, 0.0])
    rounded = rounding(tensor)
    scale, _ = rounding.scale_and_zero_point()
    assert rounded[-1] == 0
    # Of 128 or 256 steps to a power of two, the last one has no integer.
    reach = 1.0 if symmetric and power_of_two else 0.5
    assert float((rounded - tensor).abs().max()) <= float(scale) * (reach + 0.01)
    assert torch.unique(rounded).numel() <= 256


def test_outliers_are_clipped_a_little_below_a_power_of_two():
    # 16 times the median is 16; 8 of 128 steps below 16 is 15.
    assert outlier_bound(torch.tensor([32.0, 1.0, -1.0, 1.0, 1.0])) == 15
    # 16 times 1.5 is 24, the next power of two is 32, 8 of 128 steps below is 30.
    assert outlier_bound(torch.tensor([-100.0, 1.5, -1.5])) == 30


def test_large_weights_stay_where_they_are_not_far_from_the_others():
    assert outlier_bound(torch.tensor([20.0, 10.0, -10.0])) is None
    assert outlier_bound(torch.tensor([14.0, 0.1, 0.1])) is None
    assert outlier_bound(torch.tensor([20.0, 0.0, 0.0])) is None
