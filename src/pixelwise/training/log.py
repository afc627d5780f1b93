"""The log of a run: writes every event to the run's own file, which the trackers that the user chose follow."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.observer import Observer
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord, WarningRecord, rewind_log
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import TrackedRun

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
    """Writes the events of a run to its log; an error in it ends the run.

    Args:
        run: The run; records of steps after `run.done` are discarded.
        observer: Receives warnings.
        followers: The trackers that the user chose, whose failures become warnings; None for none.
    """

    def __init__(self, run: TrackedRun, observer: Observer, followers: Followers | None = None) -> None:
        self.run = run
        self.observer = observer
        self.latest_loss: float | None = None
        self._own = JsonlTracker()
        self._followers = followers or Followers(run.folder, ())
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

    def step(self, step: int, epoch: int, lr: float, loss: Tensor, grad_norm: Tensor) -> None:
        """Record a step; it is written with the next flush."""
        self._step = step
        self._pending.append(_Step(step, epoch, lr, loss, grad_norm))
        if len(self._pending) >= FLUSH_STEPS or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Record an evaluation, after the steps before it."""
        self._write_steps()
        self._own.evaluation(evaluation)
        self._own.flush()

    def record(self, record: AnyRecord) -> None:
        """Record anything else, after the steps before it."""
        self._write_steps()
        self._own.record(record)
        self._own.flush()

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
        """Write the steps recorded since the last flush, and say which trackers failed since."""
        if self._pending:
            self._write_steps()
            self._own.flush()
            self._followers.wake()
        self._flushed = time.monotonic()
        self._warn_of_trackers()

    def finish(self) -> None:
        """The run is over, or stops here: complete its files and let the trackers finish."""
        self._followers.finish()
        self._warn_of_trackers()
        self._own.finish()

    def _warn_of_trackers(self) -> None:
        for code, message in self._followers.troubles():
            self.warn(code, message)

    def _write_steps(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        losses = torch.stack([one.loss for one in pending]).tolist()
        norms = torch.stack([one.grad_norm for one in pending]).tolist()
        self.latest_loss = losses[-1]
        for one, loss, norm in zip(pending, losses, norms, strict=True):
            self._own.step(StepRecord(step=one.step, epoch=one.epoch, loss=loss, lr=one.lr, grad_norm=norm))


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
