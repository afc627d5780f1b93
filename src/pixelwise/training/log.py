"""What happens in a run, told to its log and its trackers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.observer import Observer
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord, WarningRecord, rewind_log
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import TrackedRun, Tracker

FLUSH_STEPS = 20
FLUSH_SECONDS = 2.0
"""Losses stay on the device until this many steps or seconds have passed, so logging waits for nothing."""


class _Step(NamedTuple):
    step: int
    epoch: int
    lr: float
    loss: Tensor
    grad_norm: Tensor


class RunLog:
    """Tells the run's own log, and trackers that a user chose, what happens in a run.

    The run cannot do without its own log, so what that raises ends the run. A tracker that fails is dropped with a
    warning.

    Args:
        run: The run; what was logged after `run.done` steps is forgotten.
        observer: Told of warnings.
        trackers: Name -> tracker, of those that a user chose.
    """

    def __init__(self, run: TrackedRun, observer: Observer, trackers: dict[str, Tracker] | None = None) -> None:
        self.run = run
        self.observer = observer
        self.latest_loss: float | None = None
        self._own = JsonlTracker()
        self._trackers = dict(trackers or {})
        self._pending: list[_Step] = []
        self._flushed = time.monotonic()
        self._step = run.done

    def start(self, evaluated_step: int) -> None:
        """Begin, or continue after `run.done` steps: a killed run may have logged more than it saved.

        Args:
            evaluated_step: Step of the last evaluation that counts.
        """
        rewind_log(self.run.folder, self.run.done, evaluated_step)
        self._tell(lambda tracker: tracker.start(self.run))

    def step(self, step: int, epoch: int, lr: float, loss: Tensor, grad_norm: Tensor) -> None:
        """Remember a step; it is told with the next flush."""
        self._step = step
        self._pending.append(_Step(step, epoch, lr, loss, grad_norm))
        if len(self._pending) >= FLUSH_STEPS or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Tell of an evaluation, after the steps before it."""
        self._tell_steps()
        self._tell(lambda tracker: tracker.evaluation(evaluation))
        self._tell(lambda tracker: tracker.flush())

    def record(self, record: AnyRecord) -> None:
        """Tell of anything else, after the steps before it."""
        self._tell_steps()
        self._tell(lambda tracker: tracker.record(record))
        self._tell(lambda tracker: tracker.flush())

    def warn(self, code: str, message: str, step: int | None = None) -> None:
        """Log a warning and tell the observer.

        Args:
            code: Code that docs/errors.md explains.
            message: One sentence.
            step: Steps that are done; None: as many as were logged.
        """
        self.record(WarningRecord(step=self._step if step is None else step, code=code, message=message))
        self.observer.warn(code, message)

    def flush(self) -> None:
        """Tell of the remembered steps."""
        if self._pending:
            self._tell_steps()
            self._tell(lambda tracker: tracker.flush())
        self._flushed = time.monotonic()

    def finish(self) -> None:
        """Tell the trackers that nothing more comes."""
        self._tell(lambda tracker: tracker.finish())

    def _tell_steps(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        losses = torch.stack([one.loss for one in pending]).tolist()
        norms = torch.stack([one.grad_norm for one in pending]).tolist()
        self.latest_loss = losses[-1]
        records = [
            StepRecord(step=one.step, epoch=one.epoch, loss=loss, lr=one.lr, grad_norm=norm)
            for one, loss, norm in zip(pending, losses, norms, strict=True)
        ]
        self._tell(lambda tracker: _tell_all(tracker, records))

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        what(self._own)
        for name, tracker in list(self._trackers.items()):
            try:
                what(tracker)
            except Exception as error:  # whatever a stranger's code raises must not end a training
                del self._trackers[name]
                reason = f"{type(error).__name__}: {error}"
                self.warn("W504", f"tracker '{name}' failed and is told nothing more: {reason}")


def _tell_all(tracker: Tracker, records: Sequence[StepRecord]) -> None:
    for record in records:
        tracker.step(record)
