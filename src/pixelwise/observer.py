"""Watching work that takes a while: one kind of observer for every function of the public API.

A function calls `phase` when a piece of work begins, `progress` while it goes on, `step` after every training step, and
`warn` when something is not as it should be. `Observer` itself is silent, so it is the default everywhere; displays for
terminals, pipes and notebooks are in `pixelwise.reports.displays`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class TrainingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training run is after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        epoch: The current epoch, from 1.
        epochs: Epochs in all.
        loss: Loss of a recent step, since losses are brought from the device a few dozen at a time; None before that.
        lr: Learning rate of this step.
        images_per_second: Training speed over recent steps, evaluations left out; None before there is one.
        data_wait_share: Share of the time of these steps that was spent waiting for the data, 0..1.
        miou: Of the newest evaluation, 0..1; None before the first one.
        best_miou: Of the best evaluation, 0..1; None before the first one.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float | None
    lr: float
    images_per_second: float | None
    data_wait_share: float
    miou: float | None
    best_miou: float | None


class Observer:
    """Told what goes on, and silent: override what you want to see. Nothing an observer does changes the work."""

    def phase(self, name: str, unit: str = "") -> None:
        """A piece of work begins, such as `looking at the data`; the one before it is over.

        Args:
            name: The work, in a few words.
            unit: `bytes` if progress will count bytes, which displays show as MB and GB; else it counts things.
        """

    def progress(self, done: int, total: int | None) -> None:
        """`done` of `total` images, bytes or layers of the current phase are finished; None: nobody knows how many."""

    def step(self, status: TrainingStatus) -> None:
        """A training step is finished."""

    def warn(self, code: str, message: str) -> None:
        """Something is not as it should be, and the work goes on; `code` is explained in docs/errors.md."""


SILENT = Observer()
"""The default of every `observer` parameter."""


class Callbacks(Observer):
    """Hands on what goes on to plain functions.

    Args:
        progress: Called as `Observer.progress`.
        warn: Called as `Observer.warn`.
    """

    def __init__(
        self, progress: Callable[[int, int], None] | None = None, warn: Callable[[str, str], None] | None = None
    ) -> None:
        self._progress, self._warn = progress, warn

    def progress(self, done: int, total: int | None) -> None:
        """Call the function for progress, which does not hear of work of unknown length."""
        if self._progress is not None and total is not None:
            self._progress(done, total)

    def warn(self, code: str, message: str) -> None:
        """Call the function for warnings."""
        if self._warn is not None:
            self._warn(code, message)


def observing(observer: Observer, keywords: dict[str, Any]) -> Observer:
    """The observer of a call whose further keywords may be `progress` and `warn`, functions that came before observers.

    Args:
        observer: The observer of the call.
        keywords: Loses these two, so that what is left are options.

    Returns:
        `observer`, or a `Callbacks` where one of the two was given.
    """
    found = {name: keywords.pop(name) for name in ("progress", "warn") if name in keywords}
    return Callbacks(**found) if any(function is not None for function in found.values()) else observer
