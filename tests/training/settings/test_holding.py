"""A warning appears exactly where arithmetic says so, and what it proposes silences it."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_recipe import PLAIN, with_

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.settings.holding import unfit_settings


def codes(entry: Recipe, images: int, size: tuple[int, int] | None = (352, 480)) -> list[str]:
    return [one.code for one in unfit_settings(entry, images, size)]


@st.composite
def settings_of_a_run(draw: st.DrawFn) -> tuple[list[str], int, tuple[int, int]]:
    """Overrides, number of images and their size, near each other often enough that both answers occur."""

    def one(*choices: str) -> str:
        return draw(st.sampled_from(choices))

    size = draw(st.sampled_from([(7, 9), (20, 31), (96, 128), (360, 480), (1000, 1500), (4000, 6000)]))
    overrides = [
        f"sampling.batch_size={draw(st.integers(1, 20))}",
        f"sampling.accumulate={draw(st.sampled_from([1, 1, 1, 2, 5]))}",
        f"sampling.drop_last={one('true', 'false')}",
        one("schedule.epochs=1", "schedule.epochs=2", "schedule.epochs=7", "schedule.epochs=40",
            "schedule.iterations=3", "schedule.iterations=50"),
        one("schedule.warmup_iterations=0", "schedule.warmup_iterations=7", "schedule.warmup_epochs=3",
            "schedule.warmup_share=0.3", "schedule.warmup_share=0.6"),
        one("schedule.kind=poly", "schedule.kind=step", "schedule.kind=constant"),
        one("schedule.milestones=[]", "schedule.milestones=[2,5]", "schedule.step_epochs=3"),
        one("ema=none", "ema={decay=0.99}", "ema={decay=0.999, ramp=5}", "ema={decay=0.9999, ramp=200}"),
        one("selection.every_epochs=1", "selection.every_epochs=3", "selection.every_epochs=9"),
        one("selection.weights=best", "selection.weights=last"),
        one("selection.patience=none", "selection.patience=1", "selection.patience=4"),
        one("augment.crop=[32,32]", "augment.crop=[64,96]", "augment.crop=[352,480]"),
        one("loss.ohem=none", "loss.ohem={min_kept=3000}", "loss.ohem={min_kept=0.1}"),
        one("checkpoints.every_steps=none", "checkpoints.every_steps=20"),
    ]  # fmt: skip
    return overrides, draw(st.integers(1, 60)), size


def expected(entry: Recipe, images: int, size: tuple[int, int]) -> set[str]:
    """The codes by arithmetic of our own: a list of batches, of rates, of evaluations, of weights."""
    sampling, schedule, selection = entry.sampling, entry.schedule, entry.selection
    sizes = [sampling.batch_size] * (images // sampling.batch_size)
    rest = images % sampling.batch_size
    if not sampling.drop_last and rest > (1 if sampling.batch_size > 1 else 0):
        sizes.append(rest)
    kept = sizes[: len(sizes) // sampling.accumulate * sampling.accumulate]
    found = set()
    alone = rest == 1 and sampling.batch_size > 1 and not sampling.drop_last
    if (images - sum(kept)) / images >= 0.1 or alone:
        found.add("W515")
    if not kept:
        return found
    per_epoch = len(kept) // sampling.accumulate
    steps = schedule.iterations or schedule.epochs * per_epoch  # type: ignore[operator]
    epochs = len(range(0, steps, per_epoch))
    warm = schedule.warmup_iterations or schedule.warmup_epochs * per_epoch or int(schedule.warmup_share * steps)
    if 3 * warm > steps:
        found.add("W511")
    if schedule.kind == "step":
        dates = schedule.milestones or (schedule.step_epochs,)
        if dates[-1] >= epochs:
            found.add("W512")
    if entry.ema is not None:
        average = [1.0] + [0.0] * steps  # the share of the weights after each step in the average
        for step in range(1, steps + 1):
            ramp = entry.ema.ramp
            keep = min(entry.ema.decay, (1 + step) / (10 + step))
            if ramp is not None:
                keep = entry.ema.decay * (1 - math.exp(-(step - 1) / ramp))
            average = [share * keep for share in average]
            average[step] = 1 - keep
        age = sum(share * (steps - step) for step, share in enumerate(average))
        if average[0] > 0.01 or age > steps / 3:
            found.add("W513")
    number = sum(step % (selection.every_epochs * per_epoch) == 0 or step == steps for step in range(1, steps + 1))
    if number == 1 and (selection.weights == "best" or epochs > 1):
        found.add("W514")
    if selection.patience is not None and number < selection.patience + 2:
        found.add("W514")
    (height, width), crop = size, entry.augment.crop
    assert crop is not None
    inside = min(crop[0], height) * min(crop[1], width)
    if inside < 0.5 * crop[0] * crop[1]:
        found.add("W516")
    if steps / per_epoch * sum(kept) / images * inside / (height * width) < 0.5:
        found.add("W517")
    if entry.loss.ohem is not None and entry.loss.ohem.min_kept >= sampling.batch_size * crop[0] * crop[1]:
        found.add("W518")
    if entry.checkpoints.every_steps is not None and entry.checkpoints.every_steps > steps:
        found.add("W519")
    return found


@pytest.mark.heavy
@settings(max_examples=80, deadline=None)
@given(drawn=settings_of_a_run())
def test_warnings_are_those_of_arithmetic_and_their_overrides_silence_them(
    drawn: tuple[list[str], int, tuple[int, int]],
):
    overrides, images, size = drawn
    entry = apply_overrides(PLAIN, overrides)
    found = unfit_settings(entry, images, size)
    assert {one.code for one in found} == expected(entry, images, size)
    for one in found:
        assert one.overrides
        fixed = apply_overrides(entry, shlex.split(one.fix))
        assert one.code not in codes(fixed, images, size), one
    # All together, until nothing is left to say.
    for _ in range(4):
        entry = apply_overrides(entry, [override for one in found for override in one.overrides])
        found = unfit_settings(entry, images, size)
    assert found == []


def the(entry: Recipe, images: int, size: tuple[int, int] | None = (352, 480)) -> Any:
    (one,) = unfit_settings(entry, images, size)
    return one


def test_a_stage_is_held_against_the_data_too():
    entry = with_(
        'stages=[{name="first", overrides=["schedule.epochs=2", "schedule.warmup_epochs=1"]}, {name="second"}]'
    )
    one = the(entry, 16)
    assert one.message.startswith("stage 'first': schedule.warmup_epochs=1 is a warm-up of 2 steps, but the run has 4")
    assert codes(apply_overrides(entry, shlex.split(one.fix)), 16) == []
    (changed, second) = apply_overrides(entry, one.overrides).stages
    assert changed.overrides == ("schedule.epochs=2", "schedule.warmup_epochs=0", "schedule.warmup_iterations=0")
    assert second == entry.stages[1]


@pytest.mark.parametrize("images", [1, 2, 8, 10, 100])
def test_the_warm_up_and_the_average_of_the_recipes_for_own_images_never_outlast_the_run(images: int):
    for epochs in (1, 3, 100):
        entry = apply_overrides(recipe("unet-resnet18"), [f"schedule.epochs={epochs}", "sampling.batch_size=1"])
        assert "W511" not in codes(entry, images)
        assert ("W513" in codes(entry, images)) == (epochs * images <= 3)


def test_a_published_recipe_fits_its_own_data():
    for name, images, size in (
        ("enet-camvid", 367, (360, 480)),
        ("segformer-b0-cityscapes", 2975, (1024, 2048)),
        ("pspnet-r50-d8-voc-aug", 10582, (375, 500)),
    ):
        assert unfit_settings(recipe(name), images, size) == [], name


def test_checking_settings_needs_no_torch():
    script = "import sys; import pixelwise.training.settings.holding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_is_said_of_what_is_still_to_be_planned():
    long = ["schedule.epochs=1", "schedule.warmup_iterations=500", "augment.crop=[4000,4000]", "sampling.batch_size=7"]
    fixed = apply_overrides(recipe("unet-resnet18"), long)
    found = unfit_settings(fixed, 20, (100, 100))
    assert {"W511", "W515", "W516"} <= {one.code for one in found}
    for planned, gone in (
        (("schedule.epochs",), {"W511"}),
        (("augment.crop",), {"W516"}),
        (("sampling.batch_size",), {"W511", "W515"}),
    ):
        left = {one.code for one in unfit_settings(msgspec.structs.replace(fixed, planned=planned), 20, (100, 100))}
        assert left.isdisjoint(gone)
    assert unfit_settings(recipe("unet"), 3, (20, 20)) == []
