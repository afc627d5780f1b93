"""A step changes something only if its loss and its gradient are finite; where that is decided.

On the CPU the host knows as soon as it asks. A GPU is still at work when it is asked, and would stand still after the
answer until the host has sent it more: so there nobody asks. Every part of a step that changes something takes the
answer as a number on the device, and the host reads it a step later, for its records.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Verdict:
    """Whether loss and gradient were finite, on its way from the device to the host.

    Args:
        finite: Boolean scalar on the device.
    """

    def __init__(self, finite: Tensor) -> None:
        self.finite = finite
        self._host, self._arrived = finite, None
        if finite.device.type == "cuda":
            self._host = torch.empty((), dtype=torch.bool, pin_memory=True)
            self._host.copy_(finite, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def __bool__(self) -> bool:
        """The answer; waits until the step has been computed."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._host)


def decides_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> bool:
    """Whether the host leaves the decision to the device.

    Never in the first step: an optimizer that makes its moments in a step without effect leaves them undefined.
    """
    return device.type == "cuda" and len(optimizer.state) > 0


def step_if(finite: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """A step of a fused optimizer that changes nothing, its counters included, where `finite` is false.

    Fused optimizers look for these two attributes: it is how `torch.amp.GradScaler` makes them skip a step.
    """
    optimizer.grad_scale, optimizer.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]


@torch.no_grad()
def restore_unless(finite: Tensor, tensors: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    """Put `tensors` back to what they were before where `finite` is false; a few launches for all of them."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        pairs = [(tensor, old) for tensor, old in zip(tensors, before, strict=True) if tensor.dtype == dtype]
        now, then = (torch.cat([pair[which].flatten() for pair in pairs]) for which in (0, 1))
        chosen = torch.where(finite, now, then).split([tensor.numel() for tensor, _ in pairs])
        targets = [tensor for tensor, _ in pairs]
        copy_all(targets, [part.view(target.shape) for part, target in zip(chosen, targets, strict=True)])


@torch.no_grad()
def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy tensors onto others, on a GPU with one launch for all of them."""
    if targets:
        torch._foreach_copy_(list(targets), list(sources))  # pyright: ignore[reportPrivateImportUsage]
