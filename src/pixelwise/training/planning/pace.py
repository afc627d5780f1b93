"""Measures how long steps and evaluations of a recipe take on this machine, with a network that is thrown away."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import msgspec
import torch

from pixelwise.datasets.samples import Dataset
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import quantization_aware
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.lengths import steps_per_epoch
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.training.autotuning.format_choice import choose_format
from pixelwise.training.batches import TrainingPairs, loader_processes, training_batches
from pixelwise.training.distillation.kept import answered
from pixelwise.training.features.computing import encoded
from pixelwise.training.memory import memory_explained
from pixelwise.training.optimization.optimizers import set_learning_rates
from pixelwise.training.optimization.statistics import StatisticsRenewal, batch_size
from pixelwise.training.planning.rules import Choice
from pixelwise.training.precision import training_outputs
from pixelwise.training.sampling.draws import drawn_samples
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import train_step
from pixelwise.training.together.division import Division

UNCOUNTED = 2
"""Steps before the measured ones, in which memory is allocated and kernels are chosen."""
MEASURED = 12
"""Largest number of measured steps."""
IMAGES = 3
"""Number of images whose evaluation is measured."""
SHARE = 0.7
"""Share of float32's time that bfloat16 may take on a processor to be chosen: it has fewer digits."""


class Pace(NamedTuple):
    """Seconds that the parts of a training take.

    Attributes:
        step: Per optimizer step, waiting for its images included.
        evaluation: Per evaluation of the selection split.
        before: Before the first step, for the features of all images; 0 without `data.cache_features`.
    """

    step: float
    evaluation: float
    before: float = 0.0


def measured_precision(recipe: Recipe, facts: DataFacts, device: torch.device) -> Choice:
    """The fastest number format and layout; on a processor, bfloat16 only where it saves much."""
    chosen = choose_format(recipe, facts.largest_image, device, share=SHARE)
    precision = chosen.recipe.precision
    times = ", ".join(f"{key} {value:.0f}" for key, value in chosen.milliseconds.items())
    value = {"dtype": precision.dtype, "channels_last": precision.channels_last}
    return Choice("precision", value, f"milliseconds per batch, forwards and backwards: {times}")


def measure(
    recipe: Recipe,
    dataset: Dataset,
    facts: DataFacts,
    device: torch.device,
    seconds: float,
    *,
    ranks: Ranks = ALONE,
) -> Pace:
    """Train for some steps and evaluate some images, and time them.

    Nothing of it remains: the run begins with another network, and torch's random state is restored.

    Args:
        recipe: The recipe, planned but for its length.
        dataset: The data set without its unusable pairs.
        facts: Recorded facts about the data.
        device: Device to train on.
        seconds: Seconds after which no further step is measured.
        ranks: The processes that will share the work. This one does its part of the steps, while the others wait; what
            they will have to say to each other is not in the result.

    Raises:
        RecipeError: R229, these processes cannot train the recipe.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model = quantization_aware(build_model(recipe), recipe.quantization)
        state = begin_state(model, recipe, device)
        division = Division.of(recipe, ranks)
        step, encoding = _step(recipe, state, dataset, facts, seconds, division)
        evaluation = _evaluation(recipe, state.model, dataset, device) / ranks.world
        return Pace(step, evaluation + _statistics(recipe, state, dataset, facts), encoding)


def _step(
    recipe: Recipe, state: TrainingState, dataset: Dataset, facts: DataFacts, seconds: float, division: Division
) -> tuple[float, float]:
    """Seconds per step, and those that the features of all images will take before the first one."""
    samples, device = drawn_samples(dataset, recipe, facts.largest_image), state.device
    number = division.batches(recipe.sampling.accumulate)
    batches = training_batches(
        TrainingPairs(dataset, samples, recipe),
        recipe,
        start=0,
        steps=UNCOUNTED + MEASURED,
        workers=loader_processes(recipe, device),
        warn=lambda code, message: None,
        division=division,
    )
    weights = None if facts.class_weights is None else torch.tensor(facts.class_weights, device=device)
    network, per_epoch = training_outputs(state.model, recipe.precision), steps_per_epoch(len(samples), recipe.sampling)
    taken, encoding, begin = [], [], time.perf_counter()
    try:
        for step in range(UNCOUNTED + MEASURED):
            start = _now(device)
            micro_batches = [next(batches) for _ in range(number)]
            if recipe.data.cache_features:
                micro_batches = [batch._replace(features=list(encoded(state.model, batch))) for batch in micro_batches]
                encoding.append((_now(device) - start) / sum(len(batch.ids) for batch in micro_batches))
                start = _now(device)
            elif recipe.distillation.cache_views and state.teachers is not None:
                teachers = state.teachers
                micro_batches = [
                    batch._replace(taught=answered(batch, recipe, state, teachers)) for batch in micro_batches
                ]
                encoding.append((_now(device) - start) / sum(len(batch.ids) for batch in micro_batches))
                start = _now(device)
            set_learning_rates(state.optimizer, recipe, step, per_epoch)
            with memory_explained(recipe, device):
                train_step(recipe, state, network, micro_batches, weights)
            taken.append(_now(device) - start)
            if len(taken) > UNCOUNTED and _now(device) - begin > seconds:
                break
    finally:
        batches.close()
    images = (recipe.data.cache_features or recipe.distillation.cache_views) * len(samples)
    return statistics.median(taken[UNCOUNTED:]), images * statistics.median(encoding[UNCOUNTED:] or [0.0])


def _evaluation(recipe: Recipe, model: SegmentationModel, dataset: Dataset, device: torch.device) -> float:
    split = recipe.selection.split
    if not recipe.selection.every_epochs or split not in dataset.splits:
        return 0.0
    samples = dataset.samples(split)
    some = samples[:: -(-len(samples) // IMAGES)]
    few = msgspec.structs.replace(dataset, splits={split: some})
    rules = protocol(recipe.selection.protocol or recipe.evaluation.protocols[0])
    start = _now(device)
    evaluate_model(
        model,
        few,
        split,
        rules,
        input_size=recipe.evaluation.input_size,
        batch_size=recipe.evaluation.batch_size,
        device=device,
        precision=recipe.precision,
    )
    return (_now(device) - start) * len(samples) / len(some)


def _statistics(recipe: Recipe, state: TrainingState, dataset: Dataset, facts: DataFacts) -> float:
    """Seconds that new statistics of the normalisation layers add to an evaluation."""
    if not recipe.selection.every_epochs:
        return 0.0  # once, at the end
    samples = drawn_samples(dataset, recipe, facts.largest_image)
    wanted = min(recipe.selection.statistics_images, len(samples))
    some = min(wanted, batch_size(recipe))
    if not some:
        return 0.0
    few = msgspec.structs.replace(recipe.selection, statistics_images=some)
    once = msgspec.structs.replace(recipe, selection=few)
    renew = StatisticsRenewal(once, TrainingPairs(dataset, samples, once), ALONE)
    start = _now(state.device)
    renew(state.model)
    return (_now(state.device) - start) * wanted / some


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
