"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from pixelwise.recipes.schema.recipe import Ema
from pixelwise.training.optimization.schedules import kept_share

Model = TypeVar("Model", bound=nn.Module)


class Weights(Protocol):
    """What has a state dict: a network, or a process's part of one."""

    def state_dict(self) -> dict[str, Any]:
        """Name -> tensor."""
        ...


def build_average(model: Model) -> Model:
    """A copy of `model` that holds the average: without gradients, always in evaluation mode."""
    return copy.deepcopy(model).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: Weights, model: Weights, ema: Ema, step: int, finite: Tensor | None = None) -> None:
    """Move the average towards `model` after optimizer step number `step` (counted from 1).

    The average keeps `kept_share` of itself. Batch-norm statistics are averaged too; counters are copied. If `finite`,
    a boolean scalar on the device, is false, the average does not change.
    """
    keep = kept_share(ema, step)
    own, new = average.state_dict(), model.state_dict()
    floating = [name for name, tensor in own.items() if tensor.is_floating_point()]
    targets: list[Tensor] = [own[name] for name in floating]
    sources = [new[name] for name in floating]
    if finite is None:
        torch._foreach_lerp_(targets, sources, 1 - keep)  # pyright: ignore[reportPrivateImportUsage]
    else:
        steps = torch._foreach_sub(sources, targets)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(steps, finite * (1 - keep))  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(targets, steps)  # pyright: ignore[reportPrivateImportUsage]
    for name, tensor in own.items():
        if not tensor.is_floating_point():
            tensor.copy_(new[name])
