"""What to do next after a training, computed from its log, its recipe and its result; never imports torch."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.log import EvaluationRecord, Log, PlanRecord, StepRecord
from pixelwise.records.result import Result
from pixelwise.storage import printable
from pixelwise.storage.names import counted

MOST = 3
"""Largest number of sentences."""
FEW_IMAGES = 10
"""Scores over fewer images depend on each of them."""
_EVALUATIONS = 4
"""The course of fewer evaluations says nothing."""
_RISE = 0.01
"""A score, 0..1, that rose by so much over the last quarter of the evaluations still rises."""
_FALL = 0.02
"""A score that ends so much below its best value, reached in the first half, has fallen."""
_CONFUSED = 0.2
"""A class of which one other class takes this share is confused with it."""
_SEEN = 0.001
"""Classes with a smaller share of the labelled pixels are too rare to say anything about their confusions."""
_RARE = 0.1
"""Crops around a class can help if its share of the labelled pixels is smaller."""


class Confusion(NamedTuple):
    """A class of which a part is taken for another one.

    Attributes:
        truth: Id of the class.
        prediction: Id of the class it is taken for.
        part: Share of the pixels of the class, 0..1.
        share: Share of the class in all labelled pixels, 0..1.
    """

    truth: int
    prediction: int
    part: float
    share: float


def next_training(run: Path, recipe: Recipe) -> str:
    """The command that begins a training with the encoder of a run which has learned features alone.

    Args:
        run: The run folder.
        recipe: Its recipe.
    """
    encoder = getattr(recipe.model, "encoder", None)
    chosen = f" model.encoder={encoder}" if isinstance(encoder, str) else ""
    return f"pixelwise train unet{chosen} --data FOLDER --weights {shlex.quote(printable(run))}"


def advice(recipe: Recipe, log: Log, result: Result | None) -> list[str]:
    """At most three sentences on what to do next, the most useful first; each holds the option or setting to change.

    Args:
        recipe: The resolved recipe of a run that has finished.
        log: Its log.
        result: A score of the run on its own data; None if there is none.
    """
    records = [one for one in log.of(EvaluationRecord) if one.split == recipe.selection.split]
    found = [about_length(recipe, [one.miou for one in records if one.miou is not None], _planned_epochs(log))]
    if result is not None:
        found += [about_lost_class(result), about_confusion(recipe, result), about_images(result)]
    return [sentence for sentence in found if sentence][:MOST]


def about_length(recipe: Recipe, mious: Sequence[float], planned_epochs: int | None = None) -> str:
    """Whether a longer or a shorter training would suit the data better; empty if the scores do not tell.

    Args:
        recipe: The resolved recipe of the run.
        mious: Mean IoU of the evaluations during training, 0..1, in order.
        planned_epochs: Number of epochs if the length was planned; a longer training is then asked for in epochs, too.
    """
    if len(mious) < _EVALUATIONS:
        return ""
    last = math.ceil(len(mious) / 4)
    split, before = printable(recipe.selection.split), max(mious[:-last])
    rise = max(mious[-last:]) - before
    if rise >= _RISE:
        longer = _longer(recipe, planned_epochs)
        return f"mIoU on {split} still rises at the end, by {100 * rise:.1f} points in the last quarter: {longer}"
    best = max(range(len(mious)), key=lambda place: mious[place])
    fall = mious[best] - mious[-1]
    if fall >= _FALL and best < len(mious) / 2:
        return (
            f"mIoU on {split} was best after {100 * (best + 1) / len(mious):.0f} % of the training and fell by "
            f"{100 * fall:.1f} points since: a longer training does not help, more or more varied images may"
        )
    return ""


def about_lost_class(result: Result) -> str:
    """The most frequent class of which next to nothing is found; empty if there is none."""
    lost = [entry for entry in result.per_class if entry.pixels and not entry.iou > 0]
    if not lost:
        return ""
    worst = max(lost, key=lambda entry: entry.pixels)
    return (
        f"{printable(worst.name)} is never found ({counted(worst.images, 'image')} of {printable(result.split)} "
        f"{'has' if worst.images == 1 else 'have'} it): label more of it, or merge it into another class with "
        "data.label_map"
    )


def about_confusion(recipe: Recipe, result: Result) -> str:
    """The class of which another one takes most, with a setting that may help; empty if none takes much."""
    worst = largest_confusion(result)
    if worst is None:
        return ""
    names = [printable(entry.name) for entry in result.per_class]
    sentence = f"{names[worst.truth]}: {100 * worst.part:.0f} % of it is taken for {names[worst.prediction]}"
    if worst.share < _RARE and recipe.augment.crop is not None and recipe.augment.class_crop < 0.5:
        return f"{sentence}, and it is only {_percent(worst.share)} of the pixels: augment.class_crop=0.5"
    if worst.share < _RARE and recipe.loss.class_weights == "none":
        return f"{sentence}, and it is only {_percent(worst.share)} of the pixels: loss.class_weights=inverse-sqrt"
    return f"{sentence}: look at these images in the report; are they labelled alike?"


def largest_confusion(result: Result) -> Confusion | None:
    """The class of which another one takes the largest part; None if no part is large, and for multi-label data."""
    total = sum(map(sum, result.confusion_matrix))
    found = [
        Confusion(truth, prediction, pixels / sum(row), sum(row) / total)
        for truth, row in enumerate(result.confusion_matrix)
        for prediction, pixels in enumerate(row)
        if prediction != truth and sum(row) >= _SEEN * total and pixels >= _CONFUSED * sum(row) > 0
    ]
    return max(found, key=lambda one: (one.part, one.share), default=None)


def about_images(result: Result) -> str:
    """Whether so few images were scored that each of them matters; empty if there are enough."""
    if result.images >= FEW_IMAGES:
        return ""
    return (
        f"only {counted(result.images, 'image')} of {printable(result.split)} "
        f"{'was' if result.images == 1 else 'were'} scored: label more before you compare runs by a few points"
    )


def _planned_epochs(log: Log) -> int | None:
    """Number of epochs of a run whose length was planned when it began; None for another."""
    fields = {choice.field for record in log.of(PlanRecord) for choice in record.choices}
    steps = log.of(StepRecord)
    return steps[-1].epoch if steps and {"schedule.iterations", "schedule.epochs"} & fields else None


def _longer(recipe: Recipe, planned_epochs: int | None) -> str:
    """The option for twice the length: of a recipe in epochs, or of one in steps."""
    schedule = recipe.schedule
    epochs = schedule.epochs if schedule.epochs is not None else planned_epochs
    if epochs is not None:
        return f"--epochs {2 * epochs}"
    return f"schedule.iterations={2 * (schedule.iterations or 0)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
