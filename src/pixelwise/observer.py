"""Watching work that takes a while: one kind of observer for every function of the public API.

A function calls `phase` when a piece of work begins, `progress` while it goes on, `step` after every training step, and
`warn` when something is not as it should be. `Observer` itself is silent, so it is the default everywhere; displays for
terminals, pipes and notebooks are in `pixelwise.reports.displays`.
"""

from __future__ import annotations

import msgspec


class TrainingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training run is after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        epoch: The current epoch, from 1.
        epochs: Epochs in all.
        loss: Mean loss of the steps since the last status; None before the first one.
        lr: Learning rate of this step.
        images_per_second: Training speed since the last status, evaluations left out; None before there is one.
        data_wait_share: Share of that time spent waiting for the data, 0..1.
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

    def phase(self, name: str) -> None:
        """A piece of work begins, such as `looking at the data`; the one before it is over."""

    def progress(self, done: int, total: int | None) -> None:
        """`done` of `total` images, bytes or layers of the current phase are finished; None: nobody knows how many."""

    def step(self, status: TrainingStatus) -> None:
        """A training step is finished."""

    def warn(self, code: str, message: str) -> None:
        """Something is not as it should be, and the work goes on; `code` is explained in docs/errors.md."""


SILENT = Observer()
"""The default of every `observer` parameter."""
