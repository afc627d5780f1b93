"""Schedules of the learning rate and of the average as pure functions of the step, with no state to save or restore.

A warm-up begins at its ratio: step 0 of a linear one has `warmup_ratio` of the full rate. With a ratio of 0, as in
EoMT, PMT and the recipes for own data, the first step changes no weight, only normalisation statistics and the
optimizer's moments. The other published procedures that have a warm-up begin above 0, and so do their recipes:

- United Perception, SegFormer: 1e-6 of the rate at step 0, the full rate at step 1499 of a warm-up "of 1500".
- United Perception, HRNet: 0.25 of the rate at step 0, the full rate at step 499 of "500".
- TI edgeai: by epoch, max(1e-3, epoch / 5): the whole first epoch has 1e-3 of the rate.

The others (ENet, sssegmentation, ERFNet, SwiftNet, torchvision, TensorFlow's DeepLab) have no warm-up: the first step
has the full rate.
"""

from __future__ import annotations

import bisect
import math

import msgspec

from pixelwise.recipes.lengths import total_steps
from pixelwise.recipes.schema.recipe import Ema, Optimizer, Sampling, Schedule


def warmup_steps(schedule: Schedule, steps_per_epoch: int) -> int:
    """Length of the warm-up in optimizer steps, which may be longer than the run; 0 without a warm-up."""
    if schedule.warmup_share:
        return math.floor(schedule.warmup_share * total_steps(schedule, steps_per_epoch))
    return schedule.warmup_iterations or schedule.warmup_epochs * steps_per_epoch


def base_learning_rate(optimizer: Optimizer, sampling: Sampling) -> float:
    """The learning rate before schedule and groups: `lr`, scaled by images per step / `lr_batch` if that is set."""
    if optimizer.lr_batch is None:
        return optimizer.lr
    return optimizer.lr * (sampling.batch_size * sampling.accumulate / optimizer.lr_batch)


def learning_rate(schedule: Schedule, base: float, step: int, steps_per_epoch: int) -> float:
    """The learning rate of optimizer step `step` (0, 1, ...) for parameters whose base rate is `base`.

    Args:
        schedule: Section `schedule` of the recipe.
        base: Base learning rate, to which the schedule's factors refer.
        step: Number of steps done before this one.
        steps_per_epoch: Number of optimizer steps per epoch.

    Returns:
        The learning rate, 0 or more.
    """
    ratio = schedule.min_lr_ratio
    if schedule.min_lr is not None:
        # A base rate below `min_lr` does not decay; that of frozen parameters is 0.
        ratio = min(1.0, schedule.min_lr / base) if base > 0 else 0.0
    return base * _factor(schedule, step, steps_per_epoch, ratio)


def learning_rate_of_group(
    schedule: Schedule, base: float, step: int, steps_per_epoch: int, warmup: tuple[int, int]
) -> float:
    """The learning rate of parameters with a warm-up of their own.

    Args:
        schedule: Section `schedule` of the recipe; its course begins where the group begins to learn.
        base: Base learning rate of the group.
        step: Number of steps done before this one.
        steps_per_epoch: Number of optimizer steps per epoch.
        warmup: Number of steps in which the group does not learn, and number of steps of its warm-up after them.

    Returns:
        The learning rate, 0 or more.
    """
    after, iterations = warmup
    if step < after:
        return 0.0
    own = msgspec.structs.replace(
        schedule,
        epochs=None,
        iterations=max(1, total_steps(schedule, steps_per_epoch) - after),
        warmup_iterations=iterations,
        warmup_epochs=0,
        warmup_share=0.0,
    )
    return learning_rate(own, base, step - after, steps_per_epoch)


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int) -> float:
    """Factor on the base learning rate in optimizer step `step` (0, 1, ...), without regard to `min_lr`.

    Args:
        schedule: Section `schedule` of the recipe.
        step: Number of steps done before this one.
        steps_per_epoch: Number of optimizer steps per epoch.

    Returns:
        The factor, in 0..1 for every schedule whose gamma and ratios are in 0..1.
    """
    return _factor(schedule, step, steps_per_epoch, schedule.min_lr_ratio)


def lr_shape(schedule: Schedule, step: int, steps_per_epoch: int) -> float:
    """The course of the learning rate without regard to a base rate, as `lr_factor` if `min_lr` were 0.

    Two schedules that differ in length alone give every parameter group the same rate in a step if their shapes agree.

    Args:
        schedule: Section `schedule` of the recipe.
        step: Number of steps done before this one.
        steps_per_epoch: Number of optimizer steps per epoch.
    """
    return _factor(schedule, step, steps_per_epoch, 0.0 if schedule.min_lr is not None else schedule.min_lr_ratio)


def kept_share(ema: Ema, step: int) -> float:
    """The share of itself that the average keeps in optimizer step number `step` (counted from 1).

    It is min(decay, (1 + step) / (10 + step)), or with `ema.ramp` decay * (1 - exp(-(step - 1) / ramp)), which is 0 in
    the first step. So the average quickly forgets early weights, which are mostly the random initialisation.
    """
    if ema.ramp is not None:
        return ema.decay * (1 - math.exp(-(step - 1) / ema.ramp))
    return min(ema.decay, (1 + step) / (10 + step))


def _factor(schedule: Schedule, step: int, steps_per_epoch: int, min_ratio: float) -> float:
    epoch = step // steps_per_epoch
    by_epoch = schedule.per == "epoch"
    # `now`, `length` and `warm` are in the unit in which the rate changes, steps or epochs.
    now, unit = (epoch, steps_per_epoch) if by_epoch else (step, 1)
    length = total_steps(schedule, steps_per_epoch) / unit
    steps = warmup_steps(schedule, steps_per_epoch)
    warm = steps / unit
    # A warm-up of epochs rises as often as the rate changes, one of steps in every step.
    rise = now / warm if schedule.warmup_epochs else step / steps if steps else math.inf
    # If the decay counts from the start, the warm-up ends with a step at the full rate; otherwise that step is the
    # first of the decay.
    if rise < 1 or (rise == 1 and schedule.decay_from == "start"):
        return _warm_up(schedule, rise)
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "step":
        return schedule.gamma ** _milestones_passed(schedule, epoch)
    if schedule.kind == "one-cycle":
        return _one_cycle(schedule, now, length)
    begin = 0.0 if schedule.decay_from == "start" else warm
    # The decay takes at least one step or epoch, even if the warm-up is as long as the run.
    done = min(1.0, max(0.0, now - begin) / max(1.0, length - begin))
    shape = (1 - done) ** schedule.power if schedule.kind == "poly" else 0.5 * (1 + math.cos(math.pi * done))
    return min_ratio + (1 - min_ratio) * shape


def _warm_up(schedule: Schedule, rise: float) -> float:
    ratio = schedule.warmup_ratio
    if schedule.warmup == "constant":
        return ratio if rise < 1 else 1.0
    if schedule.warmup == "proportional":
        return max(ratio, rise)
    if schedule.warmup == "exponential":
        return ratio ** (1 - rise)
    return ratio + (1 - ratio) * rise


def _milestones_passed(schedule: Schedule, epoch: int) -> int:
    if schedule.milestones:
        return bisect.bisect_right(schedule.milestones, epoch)
    return epoch // schedule.step_epochs


def _one_cycle(schedule: Schedule, now: float, length: float) -> float:
    """Factor of PyTorch's OneCycleLR: the peak at step `rise` * length - 1, the minimum at the last step."""
    peak, last = max(0.0, schedule.rise * length - 1), length - 1
    lowest = 1 / schedule.start_divisor
    if now < peak:
        return _between(lowest, 1.0, now / peak)
    return _between(1.0, lowest / schedule.end_divisor, min(1.0, (now - peak) / max(1e-9, last - peak)))


def _between(start: float, end: float, share: float) -> float:
    """Value between `start` (share 0) and `end` (share 1) on half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
