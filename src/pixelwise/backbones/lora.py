"""Low-rank adaptation of linear layers (LoRA; Hu et al. 2021, arXiv:2106.09685).

A layer with the frozen weight W computes W x + scale * B A x, where A has few rows and B as few columns, and only A and
B are trained. B begins at 0, so that the layer begins as it was; A begins uniform, as in the authors' code
(microsoft/LoRA, MIT, reimplemented). W + scale * B A is the weight of an ordinary layer that computes the same.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LowRankAdapted(nn.Module):
    """A layer whose weight is kept, with a trained low-rank matrix that is added to it.

    In training mode the low-rank product is computed beside the layer, so that no gradient of its whole weight is
    needed. In evaluation mode the layer computes with the merged weight, exactly as one with that of `merged_state`.
    Attributes of the layer are also those of the adapted one; `weight` is the merged weight.

    Args:
        original: An `nn.Linear` or a 1x1 `nn.Conv2d` for which `is_adaptable` holds.
        rank: Rank of the added matrix, at most the number of inputs and of outputs of the layer.
        scale: Factor on the added matrix.
    """

    def __init__(self, original: nn.Linear | nn.Conv2d, rank: int, scale: float) -> None:
        super().__init__()
        self.original = original
        self.scale = scale
        outputs, inputs = original.weight.shape[:2]
        self.lora_a = nn.Parameter(original.weight.new_empty(rank, inputs))
        self.lora_b = nn.Parameter(original.weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    @property
    def weight(self) -> Tensor:
        """The merged weight, of the shape of the layer's own; differentiable."""
        own = self.original.weight
        # Merging in bfloat16 would round every weight of the layer.
        with torch.autocast(own.device.type, enabled=False):
            return own + (self.scale * (self.lora_b @ self.lora_a)).view(own.shape)

    def __getattr__(self, name: str) -> Any:
        """An attribute of this module, or else of the layer, such as `out_features`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("original"), name)

    def forward(self, features: Tensor) -> Tensor:
        """What the layer takes and returns, in the same shapes and types."""
        layer, down, up = self.original, self.lora_a, self.lora_b
        if isinstance(layer, nn.Linear):
            if not self.training:
                return F.linear(features, self.weight, layer.bias)
            return layer(features) + F.linear(self.scale * F.linear(features, down), up)
        if not self.training:
            return F.conv2d(features, self.weight, layer.bias, layer.stride)
        inner = F.conv2d(features, down[:, :, None, None], stride=layer.stride)
        return layer(features) + F.conv2d(self.scale * inner, up[:, :, None, None])


def is_adaptable(module: nn.Module) -> bool:
    """Whether a module is a linear layer or a 1x1 convolution in one group, and computes nothing else besides."""
    if isinstance(module, nn.Linear):
        return type(module).forward is nn.Linear.forward
    if not isinstance(module, nn.Conv2d):
        return False
    kind = type(module)
    plain = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward
    return plain and module.kernel_size == (1, 1) and module.groups == 1 and module.padding == (0, 0)


def adapted_layers(model: nn.Module) -> dict[str, LowRankAdapted]:
    """The adapted layers of a network by name; one that the network has under several names occurs several times."""
    found = model.named_modules(remove_duplicate=False)
    return {name: module for name, module in found if isinstance(module, LowRankAdapted)}


def exchange(model: nn.Module, modules: dict[str, nn.Module]) -> None:
    """Put modules in place of those that a network has under these names."""
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, module)


@contextlib.contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Context in which a network has the original layers in place of the adapted ones."""
    adapted = adapted_layers(model)
    exchange(model, {name: layer.original for name, layer in adapted.items()})
    try:
        yield
    finally:
        exchange(model, dict(adapted))


@torch.no_grad()
def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the network without adapters that computes the same, with the merged weights."""
    with without_adapters(model):
        state = model.state_dict()
    for name, layer in adapted_layers(model).items():
        state[f"{name}.weight"] = layer.weight
    return state
