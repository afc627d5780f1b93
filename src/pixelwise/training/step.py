"""One optimizer step: forward pass, backward pass, and the update, which takes effect if everything is finite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.layers.shared_statistics import NotedStatistics, SharedStatistics, update_running
from pixelwise.losses.mask_classification import mask_loss
from pixelwise.losses.segmentation import Truth, segmentation_loss, uses_class_weights
from pixelwise.models.preprocessing import normalize
from pixelwise.ranks import ALONE, Ranks
from pixelwise.ranks.adding import adding_later
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import Batch
from pixelwise.training.clock import Clock, untimed
from pixelwise.training.dilated import DilatedInFloat32
from pixelwise.training.distillation.looking import Compared
from pixelwise.training.features.recalling import recalled, recalling, without_pixels
from pixelwise.training.guard import Verdict, copy_all, decides_on_device, restore_unless, step_if
from pixelwise.training.optimization.freezing import set_training_mode
from pixelwise.training.state import TrainingState
from pixelwise.training.together.division import ALL, Division
from pixelwise.transforms.color import colored_input

BATCH_STREAM = 17
"""Random stream of what networks draw for a batch; order, augmentation and losses have smaller numbers."""


class Outcome(NamedTuple):
    """Result of a step.

    Attributes:
        kind: `done`, `void` (nothing labelled) or `bad` (non-finite).
        loss: Loss of the step, a detached scalar.
        grad_norm: L2 norm of the gradient before clipping, a scalar.
        verdict: Pending decision of the device, which if false makes a `done` step a `bad` one; None if settled.
    """

    kind: str
    loss: Tensor
    grad_norm: Tensor
    verdict: Verdict | None = None

    def judged(self) -> Outcome:
        """The outcome with the decision of the device, for which it waits."""
        if self.verdict is None:
            return self
        return self._replace(kind=self.kind if self.verdict else "bad", verdict=None)


class Lesson(NamedTuple):
    """What is compared of a network and its teachers.

    Attributes:
        mine: (B, C, h, w) of the network: its main logits, or its mapped features.
        taught: (B, C, h, w), what the teachers say.
    """

    mine: Tensor
    taught: Tensor


def train_step(
    recipe: Recipe,
    state: TrainingState,
    head_logits: Callable[[Tensor], tuple[Tensor, ...]],
    micro_batches: list[Batch],
    class_weights: Tensor | None,
    clock: Clock = untimed,
    *,
    division: Division = ALL,
    labelled: bool | None = None,
) -> Outcome:
    """One optimizer step over `micro_batches`; changes nothing unless everything is finite.

    Args:
        recipe: The resolved recipe.
        state: Model, average and optimizer, which are changed.
        head_logits: The forward pass, `model.training_outputs`; with several processes, one whose gradients are added
            up over them.
        micro_batches: The batches of the step, or this process's part of them.
        class_weights: Class weights (K,) on the model's device, or None.
        clock: Times the parts of the step.
        division: This process's part.
        labelled: Whether any process has a labelled pixel; None to look in `micro_batches`.
    """
    model, optimizer = state.model, state.optimizer
    device = next(model.parameters()).device
    if not (any_labelled(recipe, micro_batches) if labelled is None else labelled):
        nothing = torch.zeros((), device=device)
        return Outcome("void", nothing, nothing)
    set_training_mode(model, frozen=recipe.initialize.keeps_encoder)
    if recipe.precision.cuda_graphs:
        # Tells recorded graphs that the gradients of the last step are no longer needed; accumulated ones still are.
        torch.compiler.cudagraph_mark_step_begin()
    buffers = list(model.buffers())
    before = [torch.empty_like(buffer) for buffer in buffers]
    copy_all(before, buffers)
    optimizer.zero_grad(set_to_none=True)
    weighted = uses_class_weights(recipe.loss, recipe.sampling.seed, state.progress.step)
    weights = class_weights if weighted else None
    loss = add_gradients(recipe, state, head_logits, micro_batches, weights, clock, division=division)
    with clock("gradient norm"):
        grad_norm = state.clip_gradients(recipe.optimizer.clip_norm or float("inf"))
        verdict = Verdict(torch.isfinite(loss) & torch.isfinite(grad_norm))
    on_device = verdict.finite if decides_on_device(optimizer, device) else None
    if on_device is not None:
        restore_unless(on_device, buffers, before)
    elif not verdict:
        copy_all(buffers, before)
        optimizer.zero_grad(set_to_none=True)
        return Outcome("bad", loss, grad_norm)
    with clock("optimizer"):
        if on_device is None:
            optimizer.step()
        else:
            step_if(on_device, optimizer)
    if state.average is not None and recipe.ema is not None:
        with clock("average"):
            state.update_average(recipe.ema, on_device)
    return Outcome("done", loss, grad_norm, None if on_device is None else verdict)


def any_labelled(recipe: Recipe, micro_batches: list[Batch]) -> bool:
    """Whether any pixel of the batches, which are still on the CPU, is labelled, by hand or by a teacher."""
    if recipe.distillation.teachers:
        return bool(micro_batches)
    void = IGNORE_BIT if recipe.data.multilabel else IGNORE
    return not all(bool((batch.labels == void).all()) for batch in micro_batches)


def _seed_of(recipe: Recipe, step: int, place: int, rank: int) -> int:
    """The seed of what a process draws for a batch, so that it does not depend on how often a run was resumed."""
    return int(np.random.default_rng([recipe.sampling.seed, BATCH_STREAM, step, place, rank]).integers(2**63))


def _counters(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The counts of batches that normalisation layers keep, each with a copy."""
    return [(buffer, buffer.clone()) for name, buffer in model.named_buffers() if name.endswith("num_batches_tracked")]


def add_gradients(
    recipe: Recipe,
    state: TrainingState,
    head_logits: Callable[[Tensor], tuple[Tensor, ...]],
    micro_batches: list[Batch],
    class_weights: Tensor | None,
    clock: Clock = untimed,
    *,
    division: Division = ALL,
) -> Tensor:
    """Forward and backward pass over `micro_batches`; the arguments are those of `train_step`.

    Returns:
        The mean of the losses of all processes' batches, a detached scalar; its gradients are added to those of the
        parameters.
    """
    model, step, device, ranks = state.model, state.progress.step, state.device, division.ranks
    whole = division.kind == "whole"
    number = len(micro_batches) * (ranks.world if whole else 1)
    losses: list[Tensor] = []
    noting = NotedStatistics()
    counters = _counters(model) if whole else []
    for place, batch in enumerate(micro_batches):
        if division.kind != "alone":
            torch.manual_seed(_seed_of(recipe, step, place, 0 if batch.repeated else ranks.rank))
        shared = division.kind == "split" and not batch.repeated
        with clock("transfer"):
            images, labels = prepare(batch, model.preprocessing, device, recipe.precision.channels_last)
            features = recalled(batch.features, device, recipe.precision.channels_last)
        # The gradients of the processes are added up once, with those of the last batch.
        last = place == len(micro_batches) - 1
        with contextlib.nullcontext() if last else adding_later(head_logits):
            statistics = (
                SharedStatistics(ranks, batch.total) if shared else noting if whole else contextlib.nullcontext()
            )
            with clock("forward"), autocast(recipe, device), statistics, recalling(model, features):
                logits, compared = _forward(state, head_logits, images)
            with clock("teacher"), autocast(recipe, device):
                lesson = _lesson(state, compared, logits, images, batch.taught)
            with clock("loss"):
                truth = Truth(labels, batch.classes, recipe.data.multilabel)
                seed = _seed_of(recipe, step, place, 0 if batch.repeated else ranks.rank)
                among = ranks if shared else ALONE
                loss = _loss(recipe, state, logits, truth, class_weights, lesson, among, seed) / number
                losses.append(loss.detach())
                if batch.repeated:
                    loss = loss / ranks.world  # every process adds the same gradient
            with clock("backward"):
                loss.backward()
    if division.kind != "alone":
        state.add_gradients_beside()
    if whole:
        update_running(noting.noted, ranks)
        for counter, before in counters:
            counter.add_((counter - before) * (ranks.world - 1))
        losses = list(ranks.gather(torch.stack(losses), lengths=[len(losses)] * ranks.world)[0])
    return sum(losses, start=torch.zeros((), device=device))


def _loss(
    recipe: Recipe,
    state: TrainingState,
    logits: tuple[Tensor, ...],
    truth: Truth,
    class_weights: Tensor | None,
    lesson: Lesson | None,
    ranks: Ranks,
    seed: int,
) -> Tensor:
    """The loss of a batch: what its labels, or its masks, teach, and what its teachers say."""
    model = state.model
    if recipe.distillation.with_labels and recipe.loss.matching is not None:
        loss = mask_loss(logits, truth, recipe.loss.matching, seed=seed, ranks=ranks)
    elif recipe.distillation.with_labels:
        aligned, boundaries = model.align_corners, model.boundary_head
        loss = segmentation_loss(
            logits, truth, recipe.loss, class_weights, align_corners=aligned, boundary_head=boundaries, ranks=ranks
        )
    else:
        # Several processes expect a gradient of every parameter, be it 0.
        loss = torch.stack([0 * one.float().sum() for one in logits]).sum()
    if state.teachers is None or lesson is None:
        return loss
    return loss + state.teachers.loss(lesson.mine, lesson.taught, ranks)


def prepare(
    batch: Batch, preprocessing: Preprocessing, device: torch.device, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """Move a batch to the device as uint8, then apply colour augmentation and normalisation there.

    Returns:
        Normalised images float32 (B, C, H, W) and labels (B, H, W) as they are in the batch. Of a batch of features,
        the images have no content.
    """
    if batch.features is not None:
        number, height, width, channels = batch.images.shape
        images = without_pixels((number, channels, height, width), device)
        return images, batch.labels.to(device, non_blocking=True)
    images = batch.images.to(device, non_blocking=True)
    if batch.colors is not None:
        mean, std = preprocessing.mean, preprocessing.std
        images = colored_input(images, batch.colors, mean, std, channels_last=channels_last)
    else:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        images = normalize(images, preprocessing).contiguous(memory_format=layout)
    return images, batch.labels.to(device, non_blocking=True)


def _lesson(
    state: TrainingState,
    compared: Compared | None,
    logits: tuple[Tensor, ...],
    images: Tensor,
    answers: Tensor | None,
) -> Lesson | None:
    """What the teachers say of a batch, and what of the network is compared with it; None without teachers."""
    if state.teachers is None or compared is None:
        return None
    mine = compared(logits, images)
    return Lesson(mine, state.teachers.say(images, mine, answers))


@contextlib.contextmanager
def autocast(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Context of the forward pass in the recipe's number format."""
    with contextlib.ExitStack() as formats:
        if recipe.precision.dtype == "bfloat16":
            formats.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
            if device.type == "cpu":
                formats.enter_context(DilatedInFloat32())
        yield


def _forward(
    state: TrainingState, head_logits: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor
) -> tuple[tuple[Tensor, ...], Compared | None]:
    """The logits of all heads, and how they, or what was seen on the way to them, are compared with teachers."""
    teachers = state.teachers
    try:
        with contextlib.nullcontext() if teachers is None else teachers.watching(state.model) as compared:
            return head_logits(images), compared
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        size = tuple(images.shape)
        raise RecipeError(
            "R212",
            f"batch normalisation cannot train on a batch of {size[0]} at {size[2]}x{size[3]} (HxW): a feature map "
            "with a single value per channel has no variance",
            "raise sampling.batch_size to at least 2, or use a larger augment.crop",
        ) from error
