import pytest
import torch
from torch import nn

from pixelwise.recipes.schema.recipe import Ema
from pixelwise.training.optimization.ema import build_average, update_average


def test_the_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = build_average(model)
    nn.init.constant_(model.weight, 1.0)
    update_average(average, model, Ema(decay=0.999), step=1)
    # It keeps (1 + 1) / (10 + 1) of itself.
    assert average.weight.item() == pytest.approx(9 / 11)
    update_average(average, model, Ema(decay=0.1), step=1)
    assert average.weight.item() == pytest.approx(9 / 11 * 0.1 + 0.9)


def test_statistics_are_averaged_and_counters_copied():
    model = nn.BatchNorm2d(1)
    average = build_average(model)
    model.train()(torch.full((2, 1, 2, 2), 10.0))
    update_average(average, model, Ema(decay=0.5), step=100)
    assert average.running_mean is not None
    assert average.running_mean.item() == pytest.approx(0.5)  # half of 0.1 * 10
    assert average.num_batches_tracked is not None
    assert average.num_batches_tracked.item() == 1


def test_the_average_is_never_trained():
    average = build_average(nn.Sequential(nn.Linear(1, 1), nn.Dropout()))
    assert not average.training
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_a_ramp_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = build_average(model)
    nn.init.constant_(model.weight, 1.0)
    update_average(average, model, Ema(decay=0.5, ramp=2.0), step=3)
    # It keeps 0.5 * (1 - 1/e) = 0.31606 of itself.
    assert average.weight.item() == pytest.approx(1 - 0.31606, abs=1e-5)


def test_with_a_ramp_nothing_is_left_of_the_weights_before_the_first_step():
    # ModelTC/EOD counts from 0. Its average is even built before the pretrained weights are loaded.
    model = nn.Linear(1, 1, bias=False)
    average = build_average(model)
    nn.init.constant_(model.weight, 1.0)
    update_average(average, model, Ema(decay=0.9998, ramp=2000.0), step=1)
    assert average.weight.item() == 1.0
