"""Where the time of a training step goes: named parts, timed where somebody asks for it."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch

Clock = Callable[[str], contextlib.AbstractContextManager[object]]
"""Given the name of a part, a context that times what runs in it."""


def untimed(part: str) -> contextlib.AbstractContextManager[object]:
    """The clock of ordinary training: none."""
    return contextlib.nullcontext()


class PartClock:
    """Adds up the seconds of each part.

    A GPU works behind the program's back, so the clock waits for it at both ends of a part; that makes the whole
    slower than it is without a clock.

    Args:
        device: Where the work happens.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time a part."""
        start = self._now()
        try:
            yield
        finally:
            self.seconds[part] += self._now() - start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
