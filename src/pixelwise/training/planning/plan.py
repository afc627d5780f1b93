"""The plan of a run: a value and a reason for every planned field of its recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import torch

from pixelwise.datasets.auditing.class_weights import class_weights
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import RecipeError
from pixelwise.observer import Observer
from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.overrides import apply_overrides, toml_value
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.storage.names import counted
from pixelwise.training.autotuning.batch_size import auto_batch
from pixelwise.training.planning import rules
from pixelwise.training.planning.pace import Pace, measure, measured_precision
from pixelwise.training.planning.rules import Choice
from pixelwise.training.sampling.draws import drawn_samples
from pixelwise.training.settings.batches import size_before_zoom

MEASURING = 0.05
"""Share of the time that measuring the pace may take."""
FEWEST_STEPS = 100
"""Steps below which a limit of minutes is called too short."""
LONGEST_MEASUREMENT = 20.0
"""Seconds after which no further step is measured, however long the training is."""


class Time(NamedTuple):
    """The time that a run may take.

    Attributes:
        minutes: Minutes from its start to its report; None for no limit.
        began: When it began, by `time.monotonic()`.
    """

    minutes: float | None
    began: float

    @property
    def left(self) -> float | None:
        """Seconds that are left; None for no limit."""
        return None if self.minutes is None else 60 * self.minutes - (time.monotonic() - self.began)


class Plan(NamedTuple):
    """The planned recipe.

    Attributes:
        recipe: The recipe, in which nothing is planned any more.
        facts: The facts about the data, with the weights of the classes that the recipe now has.
        choices: What was chosen, in the order of the choices.
        seconds: Expected seconds of training and evaluating; None if nothing was measured.
    """

    recipe: Recipe
    facts: DataFacts
    choices: tuple[Choice, ...]
    seconds: float | None


Measure = Callable[[Recipe, Dataset, DataFacts, torch.device, float], Pace]


def with_time_limit(recipe: Recipe, minutes: float | None, overrides: list[str]) -> Recipe:
    """The recipe whose length is planned if there is a limit.

    Raises:
        RecipeError: R227, the length is given in another way, too, or the recipe has stages.
    """
    if minutes is None:
        return recipe
    if recipe.stages:
        raise RecipeError(
            "R227",
            f"`minutes` is {minutes:g}, but {recipe.name} is {len(recipe.stages) + 1} trainings, one after the other",
            "give the length of each in the recipe's stages, or begin with the result of the first ones (`begin`)",
        )
    if "schedule.epochs" in recipe.planned:
        return recipe
    lengths = ("schedule.epochs", "schedule.iterations")
    given = [word for word in overrides if word.partition("=")[0].strip() in lengths]
    if given:
        raise RecipeError(
            "R227",
            f"`minutes` is {minutes:g} and {given[0]} is given, too; expected one length of the training",
            "leave one of the two out",
        )
    return msgspec.structs.replace(recipe, planned=(*recipe.planned, "schedule.epochs"))


def plan(
    recipe: Recipe,
    dataset: Dataset,
    facts: DataFacts,
    device: torch.device,
    limit: Time,
    observer: Observer,
    *,
    measured: Measure = measure,
) -> Plan:
    """Choose the planned fields of a recipe; the recipe itself if there are none.

    Args:
        recipe: The resolved recipe with its classes.
        dataset: The opened data set.
        facts: Recorded facts about the data.
        device: Device to train on.
        limit: The time that there is.
        observer: Receives phases.
        measured: Measures the pace.

    Raises:
        ResourceError: S605, not even the smallest batch fits into memory.
    """
    if not recipe.planned:
        return Plan(recipe, facts, (), None)
    planner = _Planner(recipe, dataset.without(facts.unusable), facts, device, limit, observer, measured)
    planner.shape()
    planner.course()
    recipe = msgspec.structs.replace(planner.recipe, planned=())
    return Plan(recipe, planner.facts, tuple(planner.choices), planner.seconds)


class _Planner:
    """The plan while it is made; later choices build on earlier ones."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        facts: DataFacts,
        device: torch.device,
        limit: Time,
        observer: Observer,
        measured: Measure,
    ) -> None:
        self.recipe, self.facts, self.choices = recipe, facts, []
        self.seconds: float | None = None
        self._planned = recipe.planned
        self._dataset, self._device, self._limit = dataset, device, limit
        self._observer, self._measured = observer, measured

    @property
    def _images(self) -> int:
        """Number of training images of an epoch; large ones count as often as crops are drawn from them."""
        return len(drawn_samples(self._dataset, self.recipe, self.facts.largest_image))

    def shape(self) -> None:
        """What a step is: crop, batch, weights of the classes, number format."""
        usual = self.facts.usual_image
        # Of images that are read in parts, crops are read at their own scale: shrinking would need them whole.
        in_parts = usual[0] * usual[1] > self.recipe.data.max_pixels
        if "augment.fit" in self._planned and all(usual) and not in_parts:
            for choice in rules.shrinking(usual, self._device.type):
                self._choose(choice)
        if "augment.crop" in self._planned and all(usual):
            height, width = (round(side) for side in size_before_zoom(self.recipe.augment, usual))
            self._choose(rules.crop((height, width), self._device.type, shrunk=(height, width) != usual))
        if "sampling.batch_size" in self._planned:
            self._choose(
                rules.batch(self._images, self._device.type, "training crop" if in_parts else "training image")
            )
            self._observer.phase("searching for the largest batch that fits")
            fitting, message = auto_batch(self.recipe, self.facts.largest_image, self._device)
            if fitting != self.recipe:
                size, accumulate = fitting.sampling.batch_size, fitting.sampling.accumulate
                self._choose(Choice("sampling.batch_size", size, message))
                self._choose(Choice("sampling.accumulate", accumulate, message))
        if "loss.class_weights" in self._planned and self.recipe.data.train_split in self.facts.statistics:
            counts = self.facts.statistics[self.recipe.data.train_split]
            self._choose(rules.weights(counts.pixels, self.facts.classes))
            found = class_weights(self.recipe.loss.class_weights, counts, multilabel=self._dataset.multilabel)
            self.facts = msgspec.structs.replace(self.facts, class_weights=None if found is None else tuple(found))
        if "precision" in self._planned:
            self._observer.phase("timing number formats and layouts")
            self._choose(measured_precision(self.recipe, self.facts, self._device))

    def course(self) -> None:
        """How long it goes on: steps, evaluations, average."""
        per_epoch = steps_per_epoch(self._images, self.recipe.sampling)
        most, pace = float(rules.EVALUATIONS), None
        if "schedule.epochs" in self._planned:
            left = self._limit.left
            if left is None:
                self._choose(rules.epochs(per_epoch))
            else:
                self._observer.phase("measuring the time of a step")
                share = min(LONGEST_MEASUREMENT, MEASURING * 60 * (self._limit.minutes or 0))
                pace = self._measured(self.recipe, self._dataset, self.facts, self._device, share)
                # The result is scored once more at the end.
                left = (self._limit.left or 0.0) - pace.evaluation - pace.before
                self._choose(rules.iterations(left, pace.step, pace.evaluation))
                most = max(1.0, rules.LARGEST_EVALUATED * left / pace.evaluation) if pace.evaluation else most
        steps = total_steps(self.recipe.schedule, per_epoch)
        if "selection.every_epochs" in self._planned and self.recipe.selection.every_epochs:
            self._choose(rules.evaluated_every(steps, per_epoch, min(most, rules.EVALUATIONS)))
        if "ema.decay" in self._planned and self.recipe.ema is not None:
            self._choose(rules.decay(steps))
        if pace is not None:
            every = self.recipe.selection.every_epochs
            evaluations = -(-steps // (per_epoch * every)) if every else 0
            self.seconds = pace.before + steps * pace.step + (evaluations + 1) * pace.evaluation
            if steps < FEWEST_STEPS:
                self._warn_of_time(steps, pace)

    def _warn_of_time(self, steps: int, pace: Pace) -> None:
        """Say that the minutes leave time for few steps, and how many would do."""
        minutes = self._limit.minutes or 0.0
        passed = 60 * minutes - (self._limit.left or 0.0)
        enough = passed + pace.before + FEWEST_STEPS * pace.step + (rules.EVALUATIONS + 1) * pace.evaluation
        self._observer.warn(
            "W520",
            f"`minutes` is {minutes:g}, which leaves time for {counted(steps, 'step')}: {passed:.0f} s passed until "
            f"now, a step takes {pace.step:.2g} s and an evaluation {pace.evaluation:.2g} s; {FEWEST_STEPS} steps take "
            f"about {math.ceil(enough / 60)} minutes",
        )

    def _choose(self, choice: Choice) -> None:
        self.choices.append(choice)
        values = choice.value if isinstance(choice.value, dict) else {"": choice.value}
        words = [f"{choice.field}{'.' if key else ''}{key}={toml_value(value)}" for key, value in values.items()]
        self.recipe = apply_overrides(self.recipe, words)
