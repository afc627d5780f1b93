"""Learning-rate schedules as pure functions of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from pixelwise.recipes.schema import Schedule


def total_steps(schedule: Schedule, steps_per_epoch: int) -> int:
    """Optimizer steps of the whole run."""
    if schedule.iterations is not None:
        return schedule.iterations
    return (schedule.epochs or 0) * steps_per_epoch


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int) -> float:
    """Share of the base learning rate that optimizer step `step` (0, 1, ...) uses.

    Args:
        schedule: The recipe's section.
        step: Steps done before this one.
        steps_per_epoch: Optimizer steps per epoch.

    Returns:
        A number in 0..1 for every schedule with gamma and ratios in 0..1.
    """
    if step < schedule.warmup_iterations:
        rise = step / schedule.warmup_iterations
        return schedule.warmup_ratio + (1 - schedule.warmup_ratio) * rise
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "step":
        return schedule.gamma ** (step // steps_per_epoch // schedule.step_epochs)
    length = max(1, total_steps(schedule, steps_per_epoch) - schedule.warmup_iterations)
    done = min(1.0, (step - schedule.warmup_iterations) / length)
    shape = (1 - done) ** schedule.power if schedule.kind == "poly" else 0.5 * (1 + math.cos(math.pi * done))
    return schedule.min_lr_ratio + (1 - schedule.min_lr_ratio) * shape
