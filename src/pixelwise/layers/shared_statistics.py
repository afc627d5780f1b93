"""Batch normalisation over several processes, and the order in which running statistics take their batches.

No module is replaced: both are modes around a forward pass that change what `torch.nn.functional.batch_norm` does. So
state dicts, averages of weights, quantization and export know nothing of them, and every subclass of a normalisation
layer keeps its activation, which a conversion to `torch.nn.SyncBatchNorm` loses (pytorch/pytorch#187298).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pixelwise.ranks import Ranks


class SharedStatistics(TorchFunctionMode):
    """Batch normalisation with mean and variance over the images of all processes.

    The result, its gradients and the running statistics are those of one process with all the images.

    A mode is used for one forward pass.

    Args:
        ranks: The processes that have the other images of the batch.
        total: Number of images of all processes, where they all know it; None to ask once, at the first layer.
    """

    def __init__(self, ranks: Ranks, total: int | None = None) -> None:
        super().__init__()
        self._ranks = ranks
        self._total = total
        self._images: tuple[int, int] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        call = _Call.of(*args, **(kwargs or {}))
        return _shared(call, self._ranks, self._values(call.input)) if call.training else call.plain()

    def _values(self, x: Tensor) -> int:
        """Number of values of each channel of all processes.

        The processors would have to agree on it in every layer, for which a GPU waits; but all processes have images of
        the same size, so it follows from the number of images.
        """
        if self._images is None:
            total = self._ranks.count(x.shape[0]) if self._total is None else self._total
            self._images = x.shape[0], total
        own, total = self._images
        number = x.numel() // x.shape[1]
        # A layer that has more rows than there are images has them in every process.
        return number // own * total if x.shape[0] == own else self._ranks.count(number)


class Statistics(NamedTuple):
    """Mean and unbiased variance of a batch, for the running statistics of a layer.

    Attributes:
        mean: (C,).
        variance: (C,), with n - 1 in the denominator.
    """

    mean: Tensor
    variance: Tensor


class NotedStatistics(TorchFunctionMode):
    """Batch normalisation that notes its statistics instead of adding them to the running ones.

    `update_running` adds them afterwards, those of several processes in the order of their batches.

    Args:
        single: Whether a layer may get a single value per channel, as global pooling leaves of one image. It has no
            variance: the layer takes its running statistics instead, and nothing is noted. Otherwise PyTorch raises
            `ValueError`, as for every batch that no network can train on.
    """

    def __init__(self, *, single: bool = False) -> None:
        super().__init__()
        self._single = single
        self.noted: list[tuple[Tensor, Tensor, float, Statistics]] = []
        """Running mean and variance of a layer, their momentum, and the statistics of a batch, in order."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        call = _Call.of(*args, **(kwargs or {}))
        if not call.training or call.running_mean is None or call.running_var is None:
            return call.plain()
        if self._single and call.input.numel() == call.input.shape[1]:
            return call._replace(training=False).plain()
        # With a momentum of 1 the running statistics become those of the batch.
        mean, variance = torch.zeros_like(call.running_mean), torch.zeros_like(call.running_var)
        output = call._replace(running_mean=mean, running_var=variance, momentum=1.0).plain()
        self.noted.append((call.running_mean, call.running_var, call.momentum, Statistics(mean, variance)))
        return output


class _Call(NamedTuple):
    """The arguments of `torch.nn.functional.batch_norm`."""

    input: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    training: bool
    momentum: float
    eps: float

    @classmethod
    def of(
        cls,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> _Call:
        """The call with the defaults of the function."""
        return cls(input, running_mean, running_var, weight, bias, training, momentum, eps)

    def plain(self) -> Tensor:
        """The function's own result."""
        return F.batch_norm(*self)


def _shared(call: _Call, ranks: Ranks, number: int) -> Tensor:
    if number <= 1:
        size = tuple(call.input.shape)
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")
    output, mean, variance = _SharedBatchNorm.apply(  # type: ignore[misc]
        call.input, call.weight, call.bias, call.eps, ranks, number
    )
    if call.running_mean is not None and call.running_var is not None:
        unbiased = variance * (number / (number - 1))
        with torch.no_grad():
            for running, found in ((call.running_mean, mean), (call.running_var, unbiased)):
                running.mul_(1 - call.momentum).add_(found.to(running.dtype), alpha=call.momentum)
    return output  # type: ignore[no-any-return]


class _SharedBatchNorm(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with mean and biased variance over all processes.

    Parts are joined as by Chan et al. (1979), so that no digits cancel; sums are at least float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, ranks: Ranks, total: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        number = x.numel() // x.shape[1]
        kind = torch.promote_types(x.dtype, torch.float32)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        values = x.to(kind)
        own_variance, own_mean = torch.var_mean(values, axes, correction=0)
        mean = ranks.sum(own_mean * number) / total
        variance = ranks.sum((own_variance + (own_mean - mean) ** 2) * number) / total
        scale = torch.rsqrt(variance + eps)
        normalised = (values - _along(mean, x)) * _along(scale, x)
        ctx.save_for_backward(normalised, scale, weight)
        ctx.axes, ctx.total, ctx.ranks, ctx.kind, ctx.has_bias = axes, total, ranks, x.dtype, bias is not None
        output = normalised if weight is None else normalised * _along(weight.to(kind), x)
        output = output if bias is None else output + _along(bias.to(kind), x)
        return output.to(x.dtype), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        normalised, scale, weight = ctx.saved_tensors
        gradient = gradients[0].to(normalised.dtype)
        summed = gradient.sum(ctx.axes)
        projected = (gradient * normalised).sum(ctx.axes)
        # Parameters get the part of their own images: what is added up over the processes are their gradients.
        of_weight = projected.to(weight.dtype) if weight is not None else None
        of_bias = summed.to(weight.dtype if weight is not None else summed.dtype) if ctx.has_bias else None
        both = ctx.ranks.sum(torch.stack([summed, projected])) / ctx.total
        inner = gradient - _along(both[0], gradient) - normalised * _along(both[1], gradient)
        factor = scale if weight is None else scale * weight.to(scale.dtype)
        return (inner * _along(factor, gradient)).to(ctx.kind), of_weight, of_bias, None, None, None


def _along(channels: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...)."""
    return channels.view(1, -1, *[1] * (like.dim() - 2))


@torch.no_grad()
def update_running(noted: Sequence[tuple[Tensor, Tensor, float, Statistics]], ranks: Ranks) -> None:
    """Add noted statistics to the running ones: those of the first process first, as one process would have seen them.

    Every process has to have noted the same layers, the same number of times.

    Args:
        noted: What `NotedStatistics` noted in this process.
        ranks: The processes.
    """
    if not noted:
        return
    parts = [tensor for _, _, _, found in noted for tensor in found]
    flat = torch.cat([part.flatten() for part in parts])
    together, _ = ranks.gather(flat.unsqueeze(0), lengths=[1] * ranks.world)
    for row in together:
        left = row.split([part.numel() for part in parts])
        for place, (mean, variance, momentum, _) in enumerate(noted):
            # In the order and precision of PyTorch's own update of float32, so that no bit differs from it.
            kept = float(np.float32(1) - np.float32(momentum)) if mean.dtype == torch.float32 else 1 - momentum
            mean.copy_(left[2 * place].view_as(mean) * momentum + mean * kept)
            variance.mul_(kept).add_(left[2 * place + 1].view_as(variance), alpha=momentum)
