"""The training procedure of a recipe in words: stages, optimizer, parameter groups and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.recipes.lengths import images_per_epoch, steps_per_epoch
from pixelwise.recipes.schema.recipe import Distillation, Optimizer, Recipe, Schedule
from pixelwise.records.log import SkippedRecord, StepRecord
from pixelwise.reports.numbers import many
from pixelwise.reports.run.records import RunRecords
from pixelwise.training.optimization.schedules import base_learning_rate
from pixelwise.training.stages import stage_recipe

NEAR = 0.9
"""A learning rate below this share of the base rate was never reached."""


class GroupRow(NamedTuple):
    """Parameters that share a learning rate and a weight decay; all fields are text.

    Attributes:
        parameters: Description of the parameters.
        factor: Factor on the base learning rate.
        rate: Peak learning rate over the schedule.
        decay: Weight decay.
    """

    parameters: str
    factor: str
    rate: str
    decay: str


class Procedure(NamedTuple):
    """One stage of training.

    Attributes:
        name: Name of the stage; empty for a recipe without stages.
        facts: Settings, as (name, value).
        groups: One row per parameter group, then the rest; empty if there is only one group.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    groups: tuple[GroupRow, ...]


def procedures(recipe: Recipe) -> list[Procedure]:
    """The stages of a recipe in order, ending with the recipe's own training."""
    stages = [
        _procedure(f"Stage {number}: {stage.name}", stage_recipe(recipe, stage), stage.overrides)
        for number, stage in enumerate(recipe.stages, start=1)
    ]
    own = f"Stage {len(stages) + 1}, starting from the result of {recipe.stages[-1].name}" if stages else ""
    return [*stages, _procedure(own, recipe)]


def optimizer_in_words(recipe: Recipe) -> str:
    """`sgd, momentum 0.9, learning rate 0.01`; the learning rate is the one scaled to the recipe's batch size."""
    optimizer = recipe.optimizer
    settings = {
        "sgd": f"momentum {optimizer.momentum:g}",
        "adam": f"betas {optimizer.betas[0]:g} and {optimizer.betas[1]:g}",
        "adamw": f"betas {optimizer.betas[0]:g} and {optimizer.betas[1]:g}",
    }[optimizer.kind]
    words = f"{optimizer.kind}, {settings}, learning rate {base_learning_rate(optimizer, recipe.sampling):g}"
    if base_learning_rate(optimizer, recipe.sampling) != optimizer.lr:
        words += f" ({optimizer.lr:g} for {optimizer.lr_batch} images per step)"
    if optimizer.clip_norm is not None:
        words += f", gradients clipped at norm {optimizer.clip_norm:g}"
    return words


def decay_in_words(optimizer: Optimizer) -> str:
    """`0.0005 on all parameters`."""
    if not optimizer.weight_decay and not any(group.weight_decay for group in optimizer.groups):
        return "none"
    which = "all parameters" if optimizer.decay_all else "weights, but not on biases, normalisation or slopes"
    coupled = "" if optimizer.kind == "adamw" else ", added to the gradient"
    return f"{optimizer.weight_decay:g} on {which}{coupled}"


def schedule_in_words(schedule: Schedule) -> str:
    """`100 epochs, (1 - t)^0.9 down to 0, after a linear warm-up of 100 steps from 0`."""
    length, unit = (schedule.epochs, "epoch") if schedule.epochs is not None else (schedule.iterations or 0, "step")
    words = f"{many(length, unit)}, {_course(schedule)}"
    if schedule.per == "epoch":
        words += ", changing once per epoch"
    warm = schedule.warmup_iterations or schedule.warmup_epochs
    if warm or schedule.warmup_share:
        steps = many(warm, "step" if schedule.warmup_iterations else "epoch")
        if schedule.warmup_share:
            steps = f"{100 * schedule.warmup_share:g} % of the steps"
        start = f"{100 * schedule.warmup_ratio:g} % of the rate" if schedule.warmup_ratio else "0"
        kind = {
            "linear": f"a linear warm-up of {steps} from {start}",
            "proportional": f"a proportional warm-up of {steps} from at least {start}",
            "exponential": f"an exponential warm-up of {steps} from {start}",
            "constant": f"{steps} at {start}",
        }[schedule.warmup]
        words += f", after {kind}" + (" (counted as part of the decay)" if schedule.decay_from == "start" else "")
    return words


def distillation_in_words(distillation: Distillation) -> str:
    """`match logits at temperature 2 with weight 1, beside the labels; the average of 2 teachers`."""
    match, temperature = distillation.match, distillation.used_temperature
    words = f"match {match} at temperature {temperature:g} with weight {distillation.weight:g}"
    if match == "features":
        maps = f"of feature map {distillation.stage} with the teacher's {distillation.teacher_stage}"
        words = f"match features {maps} with weight {distillation.weight:g}"
    words += ", beside the labels" if distillation.with_labels else ", without labels"
    if distillation.unlabelled_images:
        words += f", and of {many(distillation.unlabelled_images, 'image')} without a mask"
    views = len(distillation.teachers)
    several = f"features of {views} teachers" if match == "features" else f"the average of {views} teachers"
    said = [several] if views > 1 else []
    said += ["mirror images seen too"] if distillation.views == "flip" else []
    return "; ".join([words, *said])


def trained_in_words(run: RunRecords) -> str:
    """`27 steps, 9 epochs of 8 of the 9 images`, from what was logged; skipped steps count."""
    recipe, data = run.recipe, run.data
    done = max(record.step for kind in (StepRecord, SkippedRecord) for record in run.log.of(kind))
    images = data.drawn_each_epoch(recipe.data.train_split)
    used = images_per_epoch(images, recipe.sampling)
    words = many(done, "step")
    if not used:  # an older run, which did not record its images
        return words
    epochs = done / steps_per_epoch(images, recipe.sampling)
    number = many(round(epochs), "epoch") if epochs == round(epochs) else f"{epochs:.1f} epochs"
    kind = "image" if data.drawn is None else "crop"
    return f"{words}, {number} of " + (many(images, kind) if used == images else f"{used} of the {images} {kind}s")


def unreached_rate(run: RunRecords) -> str:
    """`at most 0.00026 of 0.001`, if the logged rates never came near the base rate; else empty."""
    base = base_learning_rate(run.recipe.optimizer, run.recipe.sampling)
    highest = max((record.lr for record in run.log.of(StepRecord)), default=base)
    return f"at most {highest:.3g} of {base:.3g}" if highest < NEAR * base else ""


def _course(schedule: Schedule) -> str:
    end = f"{schedule.min_lr or 0:g}"
    if schedule.min_lr is None and schedule.min_lr_ratio:
        end = f"{100 * schedule.min_lr_ratio:g} % of the rate"
    if schedule.kind == "constant":
        return "a constant rate"
    if schedule.kind == "step":
        when = f"every {schedule.step_epochs} epochs"
        if schedule.milestones:
            when = "at epoch " + " and ".join(str(epoch) for epoch in schedule.milestones)
        return f"rate multiplied by {schedule.gamma:g} {when}"
    if schedule.kind == "one-cycle":
        lowest, last = schedule.start_divisor, schedule.start_divisor * schedule.end_divisor
        return f"one cycle: up from 1/{lowest:g} within {100 * schedule.rise:g} % of the steps, down to 1/{last:g}"
    if schedule.kind == "cosine":
        return f"half a cosine down to {end}"
    return f"linearly down to {end}" if schedule.power == 1 else f"(1 - t)^{schedule.power:g} down to {end}"


def _procedure(name: str, recipe: Recipe, differences: Sequence[str] = ()) -> Procedure:
    optimizer, batch = recipe.optimizer, recipe.sampling.batch_size * recipe.sampling.accumulate
    facts = [
        ("Optimizer", optimizer_in_words(recipe)),
        ("Weight decay", decay_in_words(optimizer)),
        ("Schedule", schedule_in_words(recipe.schedule)),
        ("Batch", many(batch, "image")),
    ]
    if recipe.ema is not None:
        facts.append(("Moving average", f"of the weights, decay {recipe.ema.decay:g} per step"))
    if optimizer.layer_decay != 1:
        facts.append(("Layer decay", f"each encoder block learns {optimizer.layer_decay:g} times as fast as the next"))
    if recipe.distillation.teachers:
        facts.append(("Distillation", distillation_in_words(recipe.distillation)))
    if differences:
        facts.append(("Overrides", ", ".join(differences)))
    return Procedure(name, tuple(facts), _groups(recipe))


def _groups(recipe: Recipe) -> tuple[GroupRow, ...]:
    optimizer = recipe.optimizer
    base = base_learning_rate(optimizer, recipe.sampling)
    rows = [
        GroupRow(
            f"names that match {group.pattern}",
            f"{group.lr:g}",
            f"{base * group.lr:g}" if group.lr else "frozen",
            f"{optimizer.weight_decay if group.weight_decay is None else group.weight_decay:g}",
        )
        for group in optimizer.groups
    ]
    return (*rows, GroupRow("all others", "1", f"{base:g}", f"{optimizer.weight_decay:g}")) if rows else ()
