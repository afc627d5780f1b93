"""What is said before the first step: network, weights, data, batches, machine, folder, and what was chosen."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pixelwise.datasets.samples import WITHOUT_MASKS
from pixelwise.observer import TrainingStart
from pixelwise.recipes.overrides import toml_value
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import InitialWeights, Teacher
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.training.autotuning.format_choice import name as format_name
from pixelwise.training.planning.plan import Plan
from pixelwise.training.sampling.draws import learned_samples
from pixelwise.training.setup import PreparedRun
from pixelwise.training.together.division import ALL, Division

NAMED_CLASSES = 12
"""Largest number of classes that are named."""


def announcement(
    prepared: PreparedRun, run: Path, threads: int, plan: Plan, division: Division = ALL, *, divided: bool = False
) -> TrainingStart:
    """What an observer is told before the first step.

    Args:
        prepared: The run at its beginning.
        run: The run folder.
        threads: CPU threads per operation.
        plan: What was chosen for the planned fields.
        division: How a step is divided over processes.
        divided: Whether each of them keeps only a part of the weights.
    """
    recipe, state = prepared.recipe, prepared.state
    encoder = getattr(recipe.model, "encoder", None)
    network = recipe.model.family + (f" over {encoder}" if isinstance(encoder, str) else "")
    return TrainingStart(
        network=f"{network}, {_parameters(state.model)}",
        weights=_weights(prepared.initial_weights) + _taught(prepared.teachers),
        data=_data(prepared),
        batches=_batches(prepared),
        machine=", ".join([*_where(state.device, threads, division, divided), format_name(recipe.precision)]),
        folder=printable(run),
        seconds=plan.seconds,
        choices=tuple((one.field, toml_value(one.value), one.reason) for one in plan.choices),
    )


def _parameters(model: nn.Module) -> str:
    """`11.2 M parameters`, and how many of them are trained if not all are."""
    sizes = [(one.numel(), one.requires_grad) for one in model.parameters()]
    every, trained = sum(size for size, _ in sizes), sum(size for size, is_trained in sizes if is_trained)
    words = f"{every / 1e6:.1f} M parameters"
    return words if trained == every else f"{words}, of which {trained:,} are trained"


def _where(device: torch.device, threads: int, division: Division, divided: bool = False) -> list[str]:
    """`cpu, 2 processes of 1 thread that take whole batches`, and perhaps `and keep a part of the weights each`."""
    each = counted(threads, "thread") if device.type == "cpu" else ""
    if division.kind == "alone":
        return [str(device), *([each] if each else [])]
    takes = "whole batches" if division.kind == "whole" else "a part of every batch"
    number = f"{division.ranks.world} processes" + (f" of {each}" if each else "")
    keeps = " and keep a part of the weights each" if divided else ""
    return [device.type, f"{number} that take {takes}{keeps}"]


def _weights(start: InitialWeights) -> str:
    if start.run is not None:
        return f"those of a run of {start.run.recipe}, step {start.run.step}"
    return "random" if start.encoder == "none" else f"{printable(start.encoder)} for the encoder"


def _taught(teachers: tuple[Teacher, ...]) -> str:
    """`; it learns from unet, step 300`, or nothing."""
    names = " and ".join(
        f"the features of {printable(one.recipe)} ({printable(one.encoder)})"
        if one.only_encoder
        else f"{printable(one.recipe)}, step {one.step}"
        for one in teachers
    )
    return f"; it learns from {names}" if names else ""


def _data(prepared: PreparedRun) -> str:
    recipe, dataset = prepared.recipe, prepared.dataset
    train = recipe.data.train_split
    scored = [(name, samples) for name, samples in dataset.splits.items() if name not in (train, WITHOUT_MASKS)]
    numbers = [f"{len(samples)} in {printable(name)}" for name, samples in scored if samples]
    learned, without = learned_samples(dataset, recipe), dataset.splits.get(WITHOUT_MASKS, ())
    classes = [printable(one) for one in dataset.classes]
    named = ", ".join(classes[:NAMED_CLASSES]) + (" ..." if len(classes) > NAMED_CLASSES else "")
    images = f"{counted(len(learned), 'image')} to train on"
    images += f", {len(without)} of them without a mask" if without else ""
    return f"{', '.join([images, *numbers])}; {len(classes)} classes: {named}"


def _batches(prepared: PreparedRun) -> str:
    recipe = prepared.recipe
    size = recipe.augment.crop or recipe.augment.resize
    seen = f"crops of {size[1]}x{size[0]}" if size else "whole images"
    return f"{seen}, {_batch(recipe)}, {counted(prepared.steps, 'step')} ({_epochs(prepared)})"


def _batch(recipe: Recipe) -> str:
    batch = f"batches of {recipe.sampling.batch_size}"
    return batch if recipe.sampling.accumulate == 1 else f"{batch}, {recipe.sampling.accumulate} per step"


def _epochs(prepared: PreparedRun) -> str:
    """`1 epoch`, `19 epochs`, `0.3 epochs`."""
    number = prepared.steps / prepared.steps_per_epoch
    return counted(round(number), "epoch") if number >= 1 else f"{number:.1f} epochs"
