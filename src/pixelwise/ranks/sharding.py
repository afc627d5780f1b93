"""Networks of whose weights every process keeps a part: PyTorch's FSDP2.

A block gathers its weights when it is computed, and gives back what is not its own. What a training adds to them
(gradients, moments of the optimizer, an average) exists only for the own part, as plain tensors, so optimizers and
averages need to know nothing of it.
"""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from pixelwise.errors import RecipeError
from pixelwise.ranks.adding import HeadLogits
from pixelwise.ranks.alone import Ranks
from pixelwise.ranks.options import Sharding

LARGE = 300_000_000
"""Number of parameters above which `auto` divides a network: 6 GB with gradients, moments and an average."""
SMALLEST_BLOCK = 100_000
"""Number of parameters below which a block is not worth messages of its own."""

Network = TypeVar("Network", bound=nn.Module)


def is_divided(sharding: Sharding, model: nn.Module, ranks: Ranks) -> bool:
    """Whether every process keeps only a part of a network.

    Args:
        sharding: `auto`: a network of more than 300 million parameters; `never`; `always`: with several processes.
        model: The network.
        ranks: The processes.

    Raises:
        RecipeError: R229, a part is asked for of a parameter that is a single number.
    """
    if ranks.world == 1 or sharding == "never":
        return False
    number = next((name for name, parameter in model.named_parameters() if parameter.dim() == 0), None)
    if sharding == "auto":
        return number is None and sum(parameter.numel() for parameter in model.parameters()) > LARGE
    if number is not None:
        raise RecipeError(
            "R229",
            f"shard is 'always', but {number} is a single number, of which {ranks.world} processes cannot keep parts",
            "give it one dimension in the code of the network, or set `shard` to never",
        )
    return True


class Sharded(Generic[Network]):
    """A network of whose parameters every process keeps a part. Calling it is its forward pass.

    Gradients of a backward pass are added up over the processes; each gets those of its part.

    Args:
        model: The network, on its device and equal in all processes. Its parameters become those of this process's
            part, except while it is computed; its buffers stay whole.
        forward: Its forward pass, such as `model.head_logits`, in which each of its blocks is called as a module.
        ranks: The processes.
        smallest: Number of parameters below which a block is gathered with the rest of the network, not by itself.

    Attributes:
        parts: Name -> this process's part of each parameter: rows of its first dimension, plain tensors that share
            their memory with the network. A part may be empty.
    """

    def __init__(
        self,
        model: Network,
        forward: Callable[[Tensor], tuple[Tensor, ...]],
        ranks: Ranks,
        smallest: int = SMALLEST_BLOCK,
    ) -> None:
        self._model, self._ranks = model, ranks
        named = dict(model.named_parameters())
        device = next(iter(named.values())).device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # where weights are gathered
        self._channels_last = {name for name, one in named.items() if one.dim() == 4 and not one.is_contiguous()}
        self._keys = list(model.state_dict())
        self._template, self._empty = _without_weights(model)
        for parameter in named.values():
            parameter.data = parameter.data.contiguous()  # the only layout that can be divided
        mesh = DeviceMesh.from_group(_everybody(), device.type)
        self._network = HeadLogits(model, lambda images: tuple(map(_unshared, forward(images))))
        for module in (*blocks_of(model, smallest), self._network):
            fully_shard(module, mesh=mesh)
            divided = cast(FSDPModule, module)
            # Every process has the gradient of its own part of the loss, so they are added, not averaged.
            divided.set_gradient_divide_factor(1.0)
            divided.set_force_sum_reduction_for_comms(True)
        first = {id(one): name for name, one in model.named_parameters()}
        self._names = {name: first[id(one)] for name, one in model.named_parameters(remove_duplicate=False)}
        self._kept = {name: cast(DTensor, one) for name, one in model.named_parameters()}
        with torch.no_grad():
            self.parts = {
                name: nn.Parameter(one.to_local(), requires_grad=one.requires_grad) for name, one in self._kept.items()
            }

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits of all heads."""
        return self._network(images)

    def clip_gradients(self, limit: float, whole: Sequence[nn.Parameter] = ()) -> Tensor:
        """Give each part its gradient, with the norm of all of them at most `limit`.

        Every process has to call this, once after all backward passes of a step.

        Args:
            limit: The largest norm.
            whole: Parameters of something else, with gradients, that every process has all of, and that count as well.

        Returns:
            L2 norm of the gradient of the whole network and of `whole` before clipping, a scalar that is equal in all
            processes.
        """
        for name, part in self.parts.items():
            gradient = cast("DTensor | None", self._kept[name].grad)
            part.grad = None if gradient is None else gradient.to_local()
            self._kept[name].grad = None
        parts = list(self.parts.values())
        own = nn.utils.get_total_norm([part.grad for part in parts if part.grad is not None])
        # In float64, in which the square of no float32 number overflows.
        square = self._ranks.sum(own.to(parts[0].device, torch.float64) ** 2)
        if whole:
            further = [one.grad for one in whole if one.grad is not None]
            square = square + nn.utils.get_total_norm(further).double() ** 2
        norm = square.sqrt().to(own.dtype)
        nn.utils.clip_grads_with_norm_([*parts, *whole], limit, norm)
        return norm

    def state_dict(self) -> dict[str, Tensor]:
        """The state of this process: its part of each parameter, and the buffers."""
        buffers = dict(self._model.named_buffers(remove_duplicate=False))
        return {key: self.parts[self._names[key]] if key in self._names else buffers[key] for key in self._keys}

    def part_of(self, name: str, value: Tensor) -> Tensor:
        """This process's part of a tensor that has the shape of a parameter, and that all of them have."""
        mesh = self._kept[name].device_mesh
        return distribute_tensor(value.contiguous(), mesh, [Shard(0)], src_data_rank=None).to_local().clone()

    @torch.no_grad()
    def whole(self, name: str, part: Tensor) -> Tensor:
        """The tensor of which every process has the part that it has of a parameter; every process has to call this."""
        like = self._kept[name]
        shape, stride = like.shape, like.stride()
        divided = DTensor.from_local(
            part.detach(), like.device_mesh, like.placements, run_check=False, shape=shape, stride=stride
        )
        return divided.full_tensor()

    def whole_state(self, everywhere: bool) -> dict[str, Tensor]:
        """The state dict of the whole network; every process has to call this.

        Args:
            everywhere: Whether all processes get it, on their device; else the first one does, in the memory of its
                host, and the others get a part of it that is of no use.
        """
        found = {}
        for key, value in self.state_dict().items():
            if key in self._names:
                value = self.whole(self._names[key], value)
                if not everywhere and not self._ranks.first:
                    continue
                value = value if everywhere else value.cpu()
            found[key] = value
        return found

    @contextlib.contextmanager
    def put_together(self) -> Iterator[Network]:
        """Context in which every process has the whole network, as a copy that only computes predictions.

        Every process has to enter it; inside they need nothing of each other, so each may compute as often as it likes.
        """
        self._ranks.wait()
        state = self.whole_state(everywhere=True)
        for name in self._channels_last:
            state[name] = state[name].contiguous(memory_format=torch.channels_last)
        self._template.load_state_dict(state, assign=True)
        del state
        self._template.train(self._model.training)
        try:
            yield self._template
        finally:
            self._template.load_state_dict(self._empty, assign=True, strict=False)


def blocks_of(model: nn.Module, smallest: int = SMALLEST_BLOCK) -> list[nn.Module]:
    """The modules of a network that are worth being gathered by themselves: elements of its lists and sequences.

    The innermost ones count, such as the blocks of a stage, unless most of an element lies outside of its own elements,
    as of a residual block whose shortcut is a sequence.

    Args:
        model: The network.
        smallest: Number of parameters that a block has at least.
    """
    owners = Counter(id(one) for module in model.modules() for one in module.parameters(recurse=False))
    found = _blocks(model, smallest, {one for one, number in owners.items() if number > 1})
    return list(dict.fromkeys(found))


def _blocks(module: nn.Module, smallest: int, tied: set[int]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        inner = _blocks(child, smallest, tied)
        size = _size(child)
        callable_alone = type(child).forward is not nn.Module.forward
        # Parameters of several modules are gathered with the rest of the network, which is there for all of them.
        fits = size >= smallest and not any(id(one) in tied for one in child.parameters())
        is_element = isinstance(module, nn.ModuleList | nn.Sequential) and callable_alone and fits
        found += [child] if is_element and 2 * sum(map(_size, inner)) < size else inner
    return found


def _size(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def _without_weights(model: Network) -> tuple[Network, dict[str, Tensor]]:
    """A copy of a network whose parameters have a shape but no memory, and these parameters by name."""
    named = dict(model.named_parameters(remove_duplicate=False))
    empty = {
        name: nn.Parameter(torch.empty_like(one, device="meta"), requires_grad=one.requires_grad)
        for name, one in named.items()
    }
    memo: dict[int, object] = {id(one): empty[name] for name, one in named.items()}
    return copy.deepcopy(model, memo), dict(empty)


def _unshared(logits: Tensor) -> Tensor:
    """Logits in memory of their own: PyTorch warns of views, since changing one in place would lose what follows it."""
    return logits.clone() if logits._is_view() else logits


def _everybody() -> dist.ProcessGroup:
    group = dist.group.WORLD
    if group is None:
        raise RuntimeError("the processes have not joined each other")
    return group
