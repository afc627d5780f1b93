"""One optimizer step: forward pass, backward pass, and the update, which takes effect if everything is finite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.losses.segmentation import Truth, segmentation_loss, uses_class_weights
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import Batch
from pixelwise.training.clock import Clock, untimed
from pixelwise.training.dilated import DilatedInFloat32
from pixelwise.training.guard import Verdict, copy_all, decides_on_device, restore_unless, step_if
from pixelwise.training.optimization.ema import update_average
from pixelwise.training.state import TrainingState
from pixelwise.transforms.color import colored_input


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


def train_step(
    recipe: Recipe,
    state: TrainingState,
    head_logits: Callable[[Tensor], tuple[Tensor, ...]],
    micro_batches: list[Batch],
    class_weights: Tensor | None,
    clock: Clock = untimed,
) -> Outcome:
    """One optimizer step over `micro_batches`; changes nothing unless everything is finite."""
    model, optimizer = state.model, state.optimizer
    device = next(model.parameters()).device
    void = IGNORE_BIT if recipe.data.multilabel else IGNORE
    # The batches are still on the CPU, so reading them does not wait for the device.
    if all(bool((batch.labels == void).all()) for batch in micro_batches):
        nothing = torch.zeros((), device=device)
        return Outcome("void", nothing, nothing)
    model.train()
    if recipe.precision.cuda_graphs:
        # Tells recorded graphs that the gradients of the last step are no longer needed; accumulated ones still are.
        torch.compiler.cudagraph_mark_step_begin()
    buffers = list(model.buffers())
    before = [torch.empty_like(buffer) for buffer in buffers]
    copy_all(before, buffers)
    optimizer.zero_grad(set_to_none=True)
    weighted = uses_class_weights(recipe.loss, recipe.sampling.seed, state.progress.step)
    loss = add_gradients(recipe, model, head_logits, micro_batches, class_weights if weighted else None, clock)
    with clock("gradient norm"):
        parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
        limit = recipe.optimizer.clip_norm or float("inf")
        grad_norm = nn.utils.clip_grad_norm_(parameters, limit)
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
            update_average(state.average, model, recipe.ema, state.progress.step + 1, on_device)
    return Outcome("done", loss, grad_norm, None if on_device is None else verdict)


def add_gradients(
    recipe: Recipe,
    model: SegmentationModel,
    head_logits: Callable[[Tensor], tuple[Tensor, ...]],
    micro_batches: list[Batch],
    class_weights: Tensor | None,
    clock: Clock = untimed,
) -> Tensor:
    """Forward and backward pass over `micro_batches`.

    Returns:
        The mean of their losses, a detached scalar; its gradients are added to those of the parameters.
    """
    device = next(model.parameters()).device
    total = torch.zeros((), device=device)
    for batch in micro_batches:
        with clock("transfer"):
            images, labels = prepare(batch, model.preprocessing, device, recipe.precision.channels_last)
        with clock("forward"), autocast(recipe, device):
            logits = _forward(head_logits, images)
        with clock("loss"):
            truth = Truth(labels, batch.classes, recipe.data.multilabel)
            loss = segmentation_loss(logits, truth, recipe.loss, class_weights, align_corners=model.align_corners)
            loss = loss / len(micro_batches)
        with clock("backward"):
            loss.backward()
        total += loss.detach()
    return total


def prepare(
    batch: Batch, preprocessing: Preprocessing, device: torch.device, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """Move a batch to the device as uint8, then apply colour augmentation and normalisation there.

    Returns:
        Normalised images float32 (B, C, H, W) and labels (B, H, W) as they are in the batch.
    """
    images = batch.images.to(device, non_blocking=True)
    if batch.colors is not None:
        mean, std = preprocessing.mean, preprocessing.std
        images = colored_input(images, batch.colors, mean, std, channels_last=channels_last)
    else:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        images = normalize(images, preprocessing).contiguous(memory_format=layout)
    return images, batch.labels.to(device, non_blocking=True)


@contextlib.contextmanager
def autocast(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Context of the forward pass in the recipe's number format."""
    with contextlib.ExitStack() as formats:
        if recipe.precision.dtype == "bfloat16":
            formats.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
            if device.type == "cpu":
                formats.enter_context(DilatedInFloat32())
        yield


def _forward(head_logits: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor) -> tuple[Tensor, ...]:
    try:
        return head_logits(images)
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
