"""Settings that are held against the length of the run: warm-up, drops, average, evaluations, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pixelwise.recipes.schema.recipe import Ema, Recipe
from pixelwise.storage.names import counted
from pixelwise.training.optimization.schedules import base_learning_rate, kept_share, learning_rate, warmup_steps
from pixelwise.training.settings.unfit import Extent, Unfit

LONGEST_WARM_UP = 1 / 3
"""Largest share of the steps that a warm-up may take."""
FITTING_WARM_UP = 10
"""A warm-up that fits takes one of so many steps."""
OLDEST_AVERAGE = 1 / 3
"""Largest mean age of the averaged weights, as a share of the run."""
LARGEST_REMAINDER = 0.01
"""Largest share of the initial weights in the final average."""


def unfit_course(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    """The settings of a recipe that do not fit the length of the run."""
    for check in (_warm_up, _drops, _average, _evaluations, _checkpoints):
        yield from check(recipe, run)


def highest_rate(recipe: Recipe, run: Extent) -> float:
    """The highest base learning rate of the run."""
    base = base_learning_rate(recipe.optimizer, recipe.sampling)
    # After the warm-up no schedule rises, so that only the steps up to its end have to be looked at.
    last = run.steps if recipe.schedule.kind == "one-cycle" else warmup_steps(recipe.schedule, run.per_epoch) + 1
    steps = range(min(run.steps, last + run.per_epoch))
    return max(learning_rate(recipe.schedule, base, step, run.per_epoch) for step in steps)


def _warm_up(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    schedule, warm = recipe.schedule, warmup_steps(recipe.schedule, run.per_epoch)
    if warm <= LONGEST_WARM_UP * run.steps or schedule.warmup_ratio == 1:
        return
    name = next(n for n in ("warmup_share", "warmup_iterations", "warmup_epochs") if getattr(schedule, n))
    base, highest = base_learning_rate(recipe.optimizer, recipe.sampling), highest_rate(recipe, run)
    yield Unfit(
        code="W511",
        message=f"schedule.{name}={getattr(schedule, name)} is a warm-up of {counted(warm, 'step')}, but the run has "
        f"{run.in_words}: the learning rate reaches {highest:.3g} of {base:.3g}, and decays in "
        f"{counted(max(0, run.steps - warm), 'step')}",
        overrides=(
            *(["schedule.warmup_epochs=0"] if schedule.warmup_epochs else []),
            f"schedule.warmup_iterations={run.steps // FITTING_WARM_UP}",
        ),
    )


def _drops(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    schedule, epochs = recipe.schedule, run.epochs
    if schedule.kind != "step":
        return
    late = [epoch for epoch in schedule.milestones if epoch >= epochs]
    if not late and (schedule.milestones or schedule.step_epochs < epochs):
        return
    early = [epoch for epoch in schedule.milestones if epoch < epochs]
    field = f"milestones={list(schedule.milestones)}" if schedule.milestones else f"step_epochs={schedule.step_epochs}"
    if epochs == 1:
        fits = "schedule.kind=constant"
    elif schedule.milestones:
        fits = f"schedule.milestones={early or [math.ceil(2 * (epochs - 1) / 3)]}".replace(" ", "")
    else:
        fits = f"schedule.step_epochs={max(1, epochs // 3)}"
    never = f"at epoch {' and '.join(map(str, late))}" if early else "at all"
    yield Unfit(
        code="W512",
        message=f"schedule.{field}: the learning rate does not drop {never}, because the run has {run.in_words}",
        overrides=(fits,),
    )


def _average(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    if recipe.ema is None or _follows(recipe.ema, run.steps):
        return
    remainder, age = _final_average(recipe.ema, run.steps)
    plain = Ema(decay=recipe.ema.decay)
    shown = f"ema.decay={recipe.ema.decay:g}" + ("" if recipe.ema.ramp is None else f", ema.ramp={recipe.ema.ramp:g}")
    yield Unfit(
        code="W513",
        message=f"{shown}: after {run.in_words} the averaged weights are {age:.0f} steps old in the mean, and "
        f"{100 * remainder:.0f} % of them are initial weights",
        overrides=("ema.ramp=none" if _follows(plain, run.steps) else "ema=none",),
    )


def _follows(ema: Ema, steps: int) -> bool:
    """Whether the average has left the initial and the early weights behind at the end of the run."""
    remainder, age = _final_average(ema, steps)
    return remainder <= LARGEST_REMAINDER and age <= OLDEST_AVERAGE * steps


def _final_average(ema: Ema, steps: int) -> tuple[float, float]:
    """Share of the initial weights in the final average, and the mean age of its weights in steps."""
    remainder, age = 1.0, 0.0
    for step in range(1, steps + 1):
        keep = kept_share(ema, step)
        remainder, age = remainder * keep, keep * (age + 1)
    return remainder, age


def _evaluations(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    selection = recipe.selection
    if not selection.every_epochs:
        return
    number, most = _evaluated(run, selection.every_epochs), _evaluated(run, 1)
    # Patience ends a run early if evaluations follow: the best one, then those without an improvement.
    needed = 2 if selection.patience is None else selection.patience + 2
    alone = number == 1 and (selection.weights == "best" or most > 1)
    if number >= needed or (selection.patience is None and not alone):
        return
    overrides = []
    if selection.patience is not None and most < needed:
        overrides, needed = ["selection.patience=none"], 2
    if number < needed <= most:
        overrides.append(f"selection.every_epochs={max(1, run.epochs // max(needed, min(10, run.epochs)))}")
    elif number < needed and selection.weights == "best":
        overrides.append("selection.weights=last")
    effects = [
        *(["the best weights are chosen among one"] if number == 1 and selection.weights == "best" else []),
        *(["the learning curve has one point"] if number == 1 and selection.weights == "last" else []),
        *(
            [f"selection.patience={selection.patience} cannot end it early"]
            if selection.patience is not None and number < selection.patience + 2
            else []
        ),
    ]
    yield Unfit(
        code="W514",
        message=f"selection.every_epochs={selection.every_epochs}: a run of {run.in_words} is evaluated "
        f"{'once' if number == 1 else f'{number} times'}, so {' and '.join(effects)}",
        overrides=tuple(overrides),
    )


def _evaluated(run: Extent, every_epochs: int) -> int:
    """Number of evaluations; the last step is always evaluated."""
    return math.ceil(run.steps / (every_epochs * run.per_epoch))


def _checkpoints(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    every = recipe.checkpoints.every_steps
    if every is not None and every > run.steps:
        yield Unfit(
            code="W519",
            message=f"checkpoints.every_steps={every}, but the run has {run.in_words}: it is saved by time and at its "
            "end only",
            overrides=(f"checkpoints.every_steps={max(1, run.steps // 4)}",),
        )
