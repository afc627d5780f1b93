"""Timing of training: images per second, the wait for data, and the parts of a step."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch

Clock = Callable[[str], contextlib.AbstractContextManager[object]]
"""Takes the name of a part of a step and returns a context manager that times it."""


def untimed(part: str) -> contextlib.AbstractContextManager[object]:
    """The clock of ordinary training, which measures nothing."""
    return contextlib.nullcontext()


class PartClock:
    """Adds up the seconds of each part.

    A GPU works asynchronously, so the clock waits for it at both ends of a part, which makes a step slower than it is
    without a clock.

    Args:
        device: The device that does the work.
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


class SpeedMeter:
    """Images per second and the share of time spent waiting for data, smoothed over recent steps."""

    SMOOTHING = 0.05

    def __init__(self) -> None:
        self.images_per_second: float | None = None
        self.wait_share = 0.0
        self._lap = self._wait_start = self._work_start = time.monotonic()
        self._step_seconds: float | None = None
        self._step_images = 0.0

    def waiting(self) -> None:
        """Mark the beginning of the wait for a batch."""
        self._wait_start = time.monotonic()

    def working(self) -> None:
        """Mark the arrival of the batch."""
        self._work_start = time.monotonic()

    def done(self, images: int) -> None:
        """Mark the end of the step; what follows until the next `waiting` (evaluations, saving) is not counted.

        Args:
            images: Number of images of the step; the last one of an epoch may have fewer.
        """
        wait, work = self._work_start - self._wait_start, time.monotonic() - self._work_start
        seconds, share = wait + work, wait / max(wait + work, 1e-9)
        if self._step_seconds is None:
            self._step_seconds, self._step_images, self.wait_share = seconds, images, share
        else:
            self._step_seconds += self.SMOOTHING * (seconds - self._step_seconds)
            self._step_images += self.SMOOTHING * (images - self._step_images)
            self.wait_share += self.SMOOTHING * (share - self.wait_share)
        self.images_per_second = self._step_images / max(self._step_seconds, 1e-9)

    def seconds_since_lap(self) -> float:
        """Seconds since the last `lap`."""
        return time.monotonic() - self._lap

    def lap(self) -> float:
        """Seconds since the last call, or since the meter was made."""
        now = time.monotonic()
        seconds, self._lap = now - self._lap, now
        return seconds
