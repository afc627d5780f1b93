"""Parameters and multiply-accumulates (MACs) of a network, counted by running it on shapes alone.

MACs include convolutions, transposed convolutions, matrix products and attention, as in published
tables, by the formulas of PyTorch's own counter (`torch.utils.flop_counter`), which counts two FLOPs
per MAC. Biases, normalisation, activations, pooling and resizing are not included;
`Complexity.uncounted` lists them.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_MOVING = frozenset(
    """alias arange as_strided bernoulli_ cat chunk clone constant_pad_nd contiguous copy_ detach empty empty_like
    empty_strided expand fill_ flip full full_like gather index index_select lift_fresh new_empty new_full new_ones
    new_zeros ones ones_like permute repeat reflection_pad2d replication_pad2d reshape scatter select select_scatter
    slice split split_with_sizes squeeze stack t to transpose unbind unfold unsafe_split unsqueeze view where zeros
    zeros_like zero_ _reshape_alias _to_copy _unsafe_view""".split()  # noqa: SIM905 (a list of 57 strings)
)
"""Operations that only create, move or select values."""


class Complexity(msgspec.Struct, frozen=True, kw_only=True):
    """Size and computational cost of a network at one image size.

    Attributes:
        parameters: Number of parameters of the whole network, auxiliary heads included.
        auxiliary_parameters: Number of parameters in parts that inference does not run.
        macs: Multiply-accumulates for one image in inference (auxiliary heads excluded).
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        uncounted: Names of the arithmetic operations in inference that `macs` does not include.
    """

    parameters: int
    auxiliary_parameters: int
    macs: int
    height: int
    width: int
    uncounted: tuple[str, ...]

    @property
    def gmacs(self) -> float:
        """`macs` in units of 10^9."""
        return self.macs / 1e9


def complexity(model: nn.Module | str | Any, height: int = 512, width: int = 1024) -> Complexity:
    """Count the parameters and multiply-accumulates of a network.

    Nothing is computed: the network runs on shapes alone (PyTorch's `meta` device), so the cost of
    counting does not depend on the image size. The given network is not changed.

    Args:
        model: A network, or an argument of `pixelwise.build_model`: the name of a recipe, a recipe or a spec.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The counts, for one image.

    Raises:
        ValueError: The size is not positive.
        RecipeError: As `build_model`.
    """
    if height < 1 or width < 1:
        raise ValueError(f"the image size is {height}x{width} (height x width); expected at least 1x1")
    if isinstance(model, nn.Module):
        network = _on_meta(model)
    else:
        from pixelwise.models import build_model

        with torch.device("meta"):
            network = build_model(model)
    network.eval()
    counter = _Counter(network)
    with torch.no_grad(), counter:
        network(torch.empty(1, _channels(network), height, width, device="meta", dtype=_dtype(network)))
    parameters = {id(parameter): parameter.numel() for parameter in network.parameters()}
    return Complexity(
        parameters=sum(parameters.values()),
        auxiliary_parameters=sum(count for key, count in parameters.items() if key not in counter.used),
        macs=counter.flops // 2,
        height=height,
        width=width,
        uncounted=tuple(sorted(counter.uncounted)),
    )


def _on_meta(model: nn.Module) -> nn.Module:
    """A copy of `model` on the `meta` device, without values."""
    # Every tensor is replaced before the copy, so that copying a large network needs no memory.
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(
            torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad
        )
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo)


def _channels(network: nn.Module) -> int:
    preprocessing = getattr(network, "preprocessing", None)
    return len(preprocessing.mean) if preprocessing is not None else 3


def _dtype(network: nn.Module) -> torch.dtype:
    dtypes = [parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()]
    return dtypes[0] if dtypes else torch.get_default_dtype()


class _Counter(TorchDispatchMode):
    """Records for every operation its FLOPs, or its name if it is not counted, and the parameters that it uses."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.flops = 0
        self.uncounted: set[str] = set()
        self.used: set[int] = set()
        self._storages = {parameter.untyped_storage()._cdata: id(parameter) for parameter in network.parameters()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, torch.Tensor):
                key = self._storages.get(value.untyped_storage()._cdata)
                if key is not None:
                    self.used.add(key)
        result = func(*args, **kwargs)
        operation = func._overloadpacket
        if operation in flop_registry:
            self.flops += flop_registry[operation](*args, **kwargs, out_val=result)
        elif operation.__name__ not in _MOVING:
            self.uncounted.add(operation.__name__)
        return result
