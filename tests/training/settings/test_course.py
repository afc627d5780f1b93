"""Settings held against the length of the run, by hand."""

from __future__ import annotations

import pytest
from plain_recipe import with_

from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.settings.course import highest_rate, unfit_course
from pixelwise.training.settings.unfit import Unfit, extent


def the(entry: Recipe, images: int, size: tuple[int, int] | None = (352, 480)) -> Unfit:
    (one,) = unfit_course(entry, extent(entry, images, size))
    return one


def test_a_warm_up_longer_than_the_run():
    one = the(with_("schedule.epochs=9", "schedule.warmup_iterations=100", "sampling.batch_size=3"), 9)
    # 9 epochs of 3 steps; the last of 27 steps has 26/100 of the rate.
    assert (one.code, one.overrides) == ("W511", ("schedule.warmup_iterations=2",))
    assert one.message == (
        "schedule.warmup_iterations=100 is a warm-up of 100 steps, but the run has 27 steps (9 epochs of 3 steps, 9 "
        "training images): the learning rate reaches 0.00026 of 0.001, and decays in 0 steps"
    )


def test_an_evaluation_that_comes_once():
    one = the(with_("schedule.epochs=4", "selection.every_epochs=5", "selection.weights=best"), 16)
    assert one.overrides == ("selection.every_epochs=1",)
    assert "is evaluated once, so the best weights are chosen among one" in one.message
    one = the(with_("schedule.epochs=4", "selection.every_epochs=1", "selection.patience=5"), 16)
    assert one.overrides == ("selection.patience=none",)
    assert "evaluated 4 times, so selection.patience=5 cannot end it early" in one.message


def test_the_highest_rate_is_the_peak_of_the_schedule():
    # A warm-up of 4 steps of a run of 8: 0, 1/4, 1/2, 3/4, 1, ...
    entry = with_("schedule.epochs=1", "schedule.warmup_iterations=4", "sampling.batch_size=2")
    assert highest_rate(entry, extent(entry, 16, None)) == pytest.approx(0.001)
    entry = with_("schedule.epochs=1", "schedule.warmup_iterations=40", "sampling.batch_size=2")
    assert highest_rate(entry, extent(entry, 16, None)) == pytest.approx(0.001 * 7 / 40)
    entry = with_("schedule.epochs=4", "schedule.kind=one-cycle")
    # The rise takes 0.3 x 8 - 1 steps, so step 1 is near the peak and step 2 past it.
    assert 0.0009 < highest_rate(entry, extent(entry, 16, None)) < 0.001


def test_drops_after_the_end():
    one = the(with_("schedule.epochs=50", "schedule.kind=step"), 16)
    assert one.overrides == ("schedule.step_epochs=16",)
    assert one.message.startswith(
        "schedule.step_epochs=100: the learning rate does not drop at all, because the run has"
    )
    one = the(with_("schedule.epochs=50", "schedule.kind=step", "schedule.milestones=[30,60]"), 16)
    assert one.overrides == ("schedule.milestones=[30]",)
    assert "does not drop at epoch 60" in one.message
    assert the(with_("schedule.epochs=1", "schedule.kind=step"), 16).overrides == ("schedule.kind=constant",)


def test_an_average_of_a_run_of_one_step_holds_initial_weights():
    one = the(with_("schedule.epochs=1", "ema={decay=0.999}"), 8)
    # After step 1 the average keeps 2/11 of itself.
    assert "18 % of them are initial weights" in one.message
    assert one.overrides == ("ema=none",)
    one = the(with_("schedule.epochs=100", "ema={decay=0.9999, ramp=5}"), 8)
    assert one.overrides == ("ema.ramp=none",)
