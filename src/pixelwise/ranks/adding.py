"""Forward passes whose gradients are added up over processes, each of which has the whole network.

`pixelwise.ranks.sharding` is for networks of which each has a part. Nothing else wraps a network.

`DistributedDataParallel` sends the gradients of the last layers while those of the first ones are still computed. It is
given a sum instead of its mean, because every process has the gradient of its own part of the loss.
"""

# PyTorch inspects the annotations of its hooks, which are therefore no strings here.

import contextlib
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import GradBucket  # pyright: ignore[reportPrivateImportUsage]
from torch.nn.parallel import DistributedDataParallel

from pixelwise.ranks.alone import Ranks
from pixelwise.ranks.nearby import Nearby, nearby


class AddedGradients:
    """A forward pass after whose backward pass all processes have the sum of their gradients.

    Args:
        model: The network, equal in all processes. Every parameter that is trained has to get a gradient.
        forward: Its forward pass, such as `model.head_logits`, or that compiled.
        ranks: The processes.
        in_order: Whether gradients are added in the order of the processes, so that the bits are those of one process
            that accumulates them one after the other. Over a network it costs as many times the memory and the traffic
            as there are processes; None: on a processor.
        in_memory: Whether processes of one host add in order in memory that they share, and not over the network.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[Tensor], tuple[Tensor, ...]],
        ranks: Ranks,
        in_order: bool | None = None,
        in_memory: bool = True,
    ) -> None:
        device = next(model.parameters()).device
        ordered = device.type == "cpu" if in_order is None else in_order
        self._wrapped = DistributedDataParallel(
            HeadLogits(model, forward),
            device_ids=[device] if device.type == "cuda" else None,
            # Running statistics are the same everywhere, because every process computes them from all of the batch.
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        shared = nearby(trained, ranks) if ordered and in_memory and device.type == "cpu" else None
        if shared is not None:
            self._wrapped.register_comm_hook(shared, _sum_in_memory)
        else:
            self._wrapped.register_comm_hook(ranks.world, _sum_in_order if ordered else _sum)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits of all heads."""
        return self._wrapped(images)

    def apart(self) -> contextlib.AbstractContextManager[object]:
        """Context of passes whose gradients wait for those of a later one."""
        return self._wrapped.no_sync()


def adding_later(forward: Callable[[Tensor], tuple[Tensor, ...]]) -> contextlib.AbstractContextManager[object]:
    """Context of passes whose gradients wait for those of a later one; nothing changes for one process."""
    return forward.apart() if isinstance(forward, AddedGradients) else contextlib.nullcontext()


class HeadLogits(nn.Module):
    """A network whose `forward` is another function, as the wrappers need it.

    Args:
        model: The network.
        forward: The function, such as `model.head_logits`.
    """

    def __init__(self, model: nn.Module, forward: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model = model
        self._function = forward

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits of all heads."""
        return self._function(images)


def _sum(world: int, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])  # type: ignore[union-attr]


def _sum_in_memory(shared: Nearby, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    return shared.sum(bucket.buffer(), first=bucket.index() == 0)


def _sum_in_order(world: int, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(world)]
    work: Any = dist.all_gather(parts, own, async_op=True)

    def added(done: torch.futures.Future[Any]) -> Tensor:
        done.value()  # raises what has kept another process from sending
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total

    return work.get_future().then(added)  # type: ignore[no-any-return]
