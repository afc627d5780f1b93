"""Guard against non-finite steps: a step takes effect only if its loss and its gradient are finite.

On the CPU the host checks this directly. A GPU would still be computing when asked, and would then stand idle until the
host has sent it more work. So on a GPU the host does not ask: every part of a step that changes something takes the
verdict as a tensor on the device, and the host reads it one step later, for its records.
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
        """Whether both were finite; waits until the step has been computed."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._host)


def decides_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> bool:
    """Whether the host leaves the decision to the device, which it does on a GPU after the first step.

    An optimizer allocates its moments in the first step, and a first step without effect would leave them undefined.
    """
    return device.type == "cuda" and len(optimizer.state) > 0


def step_if(finite: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Take a step of a fused optimizer that changes nothing, not even its counters, if `finite` is false.

    Fused optimizers read the attributes `grad_scale` and `found_inf`; `torch.amp.GradScaler` skips steps in this way.
    """
    optimizer.grad_scale, optimizer.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]


@torch.no_grad()
def restore_unless(finite: Tensor, tensors: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    """Restore `tensors` to their values in `before` if `finite` is false, with a few kernel launches for all."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        pairs = [(tensor, old) for tensor, old in zip(tensors, before, strict=True) if tensor.dtype == dtype]
        now, then = (torch.cat([pair[which].flatten() for pair in pairs]) for which in (0, 1))
        chosen = torch.where(finite, now, then).split([tensor.numel() for tensor, _ in pairs])
        targets = [tensor for tensor, _ in pairs]
        copy_all(targets, [part.view(target.shape) for part, target in zip(chosen, targets, strict=True)])


@torch.no_grad()
def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy `sources` into `targets`, on a GPU with one kernel launch for all of them."""
    if targets:
        torch._foreach_copy_(list(targets), list(sources))  # pyright: ignore[reportPrivateImportUsage]
