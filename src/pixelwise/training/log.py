"""The log of a run, which passes every event on to the run's own file and to the user's trackers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.observer import Observer
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord, WarningRecord, rewind_log
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import TrackedRun, Tracker

FLUSH_STEPS = 20
FLUSH_SECONDS = 2.0
"""Losses stay on the device until this many steps or seconds have passed, so that logging does not wait for it."""


class _Step(NamedTuple):
    step: int
    epoch: int
    lr: float
    loss: Tensor
    grad_norm: Tensor


class RunLog:
    """Passes the events of a run to its own log and to the trackers that the user chose.

    An error in the run's own log ends the run. A tracker that fails is dropped with a warning.

    Args:
        run: The run; records of steps after `run.done` are discarded.
        observer: Receives warnings.
        trackers: Name -> tracker, for the trackers that the user chose.
    """

    def __init__(self, run: TrackedRun, observer: Observer, trackers: dict[str, Tracker] | None = None) -> None:
        self.run = run
        self.observer = observer
        self.latest_loss: float | None = None
        self._own = JsonlTracker()
        self._waiting = dict(trackers or {})
        self._trackers: dict[str, Tracker] = {}  # those that were started and have neither failed nor finished
        self._pending: list[_Step] = []
        self._flushed = time.monotonic()
        self._step = run.done

    def start(self, evaluated_step: int) -> None:
        """Begin the log, or continue it after `run.done` steps: a killed run may have logged more than it saved.

        Args:
            evaluated_step: Step of the last evaluation that is kept.
        """
        rewind_log(self.run.folder, self.run.done, evaluated_step)
        self._own.start(self.run)
        waiting, self._waiting = self._waiting, {}
        failed = _failing(waiting, lambda tracker: tracker.start(self.run))
        self._trackers = {name: tracker for name, tracker in waiting.items() if name not in failed}
        self._warn_of(failed)

    def step(self, step: int, epoch: int, lr: float, loss: Tensor, grad_norm: Tensor) -> None:
        """Record a step; trackers receive it with the next flush."""
        self._step = step
        self._pending.append(_Step(step, epoch, lr, loss, grad_norm))
        if len(self._pending) >= FLUSH_STEPS or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Record an evaluation, after the steps before it."""
        self._tell_steps()
        self._tell(lambda tracker: tracker.evaluation(evaluation))
        self._tell(lambda tracker: tracker.flush())

    def record(self, record: AnyRecord) -> None:
        """Record anything else, after the steps before it."""
        self._tell_steps()
        self._tell(lambda tracker: tracker.record(record))
        self._tell(lambda tracker: tracker.flush())

    def warn(self, code: str, message: str, step: int | None = None) -> None:
        """Log a warning and pass it to the observer.

        Args:
            code: Code of the warning, explained in docs/errors.md.
            message: One sentence: the place, and what was found.
            step: Number of steps done; None for that of the last recorded step.
        """
        self.record(WarningRecord(step=self._step if step is None else step, code=code, message=message))
        self.observer.warn(code, message)

    def flush(self) -> None:
        """Pass on the steps recorded since the last flush."""
        if self._pending:
            self._tell_steps()
            self._tell(lambda tracker: tracker.flush())
        self._flushed = time.monotonic()

    def finish(self) -> None:
        """Tell the trackers that the run is over."""
        finishing, self._trackers = self._trackers, {}
        failed = _failing(finishing, lambda tracker: tracker.finish())
        self._warn_of(failed)
        self._own.finish()

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
        failed = _failing(self._trackers, what)
        for name in failed:
            self._trackers.pop(name, None)
        self._warn_of(failed)

    def _warn_of(self, failed: Mapping[str, Exception]) -> None:
        # Only when all trackers were told, because a warning is told to them, too.
        for name, error in failed.items():
            reason = f"{type(error).__name__}: {error}"
            self.warn("W504", f"tracker '{name}' failed and is no longer used: {reason}")


class NoLog(RunLog):
    """The log of a process that is not the first: it records nothing, and says nothing."""

    def start(self, evaluated_step: int) -> None:
        """Begin nothing."""

    def step(self, step: int, epoch: int, lr: float, loss: Tensor, grad_norm: Tensor) -> None:
        """Record nothing."""

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Record nothing."""

    def record(self, record: AnyRecord) -> None:
        """Record nothing."""

    def warn(self, code: str, message: str, step: int | None = None) -> None:
        """Say nothing."""

    def flush(self) -> None:
        """Pass on nothing."""

    def finish(self) -> None:
        """End nothing."""


def _failing(trackers: Mapping[str, Tracker], what: Callable[[Tracker], None]) -> dict[str, Exception]:
    """Tell every tracker something; returns the errors of those that failed, by name."""
    failed: dict[str, Exception] = {}
    for name, tracker in list(trackers.items()):
        try:
            what(tracker)
        except Exception as error:  # an error of third-party code must not end the training
            failed[name] = error
    return failed


def _tell_all(tracker: Tracker, records: Sequence[StepRecord]) -> None:
    for record in records:
        tracker.step(record)
