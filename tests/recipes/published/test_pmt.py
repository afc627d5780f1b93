"""The published training of PMT: what is frozen, its rates and its windows."""

from __future__ import annotations

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.pmt import PMTSpec
from pixelwise.training.optimization.schedules import learning_rate

STEPS_PER_EPOCH = 20_210 // 16
ROW = recipe("pmt-l-dinov3-ade20k")


def test_the_encoder_is_frozen_and_everything_else_decays() -> None:
    assert ROW.initialize.freeze
    assert (ROW.optimizer.decay_all, ROW.optimizer.weight_decay, ROW.optimizer.clip_norm) == (True, 0.05, 0.01)
    assert ROW.optimizer.groups == ()


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.0),
        (3000, 1e-4),
        (6000, 2e-4),
        ((6000 + 16 * STEPS_PER_EPOCH) // 2, 1e-4),  # half of the cosine
        (16 * STEPS_PER_EPOCH, 1e-9),
    ],
)
def test_the_rate_rises_for_6000_steps_and_falls_to_1e_9(step: int, rate: float) -> None:
    assert learning_rate(ROW.schedule, ROW.optimizer.lr, step, STEPS_PER_EPOCH) == pytest.approx(rate, rel=1e-3)


def test_masks_disappear_within_the_training() -> None:
    assert isinstance(ROW.model, PMTSpec)
    windows = ROW.model.windows()
    assert windows[0] == (0, 3000)
    # A tenth of all steps from one block to the next, each for a sixth of them.
    steps = 16 * STEPS_PER_EPOCH
    for place, (first, last) in enumerate(windows[1:]):
        assert first == pytest.approx((4 / 15 + place / 10) * steps, rel=2e-3)
        assert last - first == pytest.approx(steps / 6, rel=2e-3)
