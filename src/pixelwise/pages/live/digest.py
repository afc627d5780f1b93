"""What is kept of a log as it grows: curves of a bounded number of points, and the few records that are shown."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from pixelwise.pages.live.thinning import Means, Picks
from pixelwise.records.log import (
    NO_LABELS,
    AnyRecord,
    EvaluationRecord,
    FinishedRecord,
    Log,
    ResumeRecord,
    SkippedRecord,
    StepRecord,
    WarningRecord,
)
from pixelwise.reports.live.curves import POINTS, percent
from pixelwise.reports.live.notes import FALLING, Note, not_finite_note

EVALUATIONS = 400
"""Largest number of evaluations in a curve."""
RECENT = max(12, FALLING + 1)
"""Number of the latest evaluations that are kept whole, for the table and the notes on them."""
WARNINGS = 50
"""Number of the latest warnings that are kept."""


class Digest:
    """What pages show of the records of a log, in a memory that does not depend on their number.

    Attributes:
        steps: Step, loss, learning rate and norm of the gradient of every training step.
        evaluations: Step, mIoU and the IoU of every class, in percent, of every evaluation.
        recent: The latest evaluations.
        best: The evaluation with the highest mIoU, the first of equals.
        warnings: The latest warnings.
        records: Number of records.
        beginnings: Number of times that the curve of evaluations began anew, because a resume had changed the classes.
    """

    def __init__(self) -> None:
        self.steps = Means(4, POINTS)
        self.evaluations = Picks(EVALUATIONS)
        self.recent: deque[EvaluationRecord] = deque(maxlen=RECENT)
        self.best: EvaluationRecord | None = None
        self.warnings: deque[WarningRecord] = deque(maxlen=WARNINGS)
        self.records = 0
        self.beginnings = 0
        self._classes = 0
        self._last_step: StepRecord | None = None
        self._last_skipped = 0
        self._finished: FinishedRecord | None = None
        self._not_finite = 0
        self._last_not_finite = 0

    def add(self, record: AnyRecord) -> None:
        """Add the next record of the log."""
        self.records += 1
        noting: dict[type, Callable[[Any], None]] = {
            StepRecord: self._step,
            EvaluationRecord: self._evaluation,
            SkippedRecord: self._skipped,
            WarningRecord: self.warnings.append,
            ResumeRecord: lambda _: self._goes_on(),
            FinishedRecord: self._ends,
        }
        note = noting.get(type(record))
        if note is not None:
            note(record)

    def note(self) -> Note | None:
        """The note on steps whose loss or gradient was not finite; None if there was none."""
        return not_finite_note(self._not_finite, self._last_not_finite) if self._not_finite else None

    def log(self) -> Log:
        """A short log that says the same about the moment as the whole: the latest records and the best evaluation."""
        records: list[AnyRecord] = [*self.recent]
        if self.best is not None and self.best not in records:
            records.insert(0, self.best)
        if self._last_skipped:
            # The reason is told by `note`, which knows how many there were.
            records.append(SkippedRecord(step=self._last_skipped, reason=NO_LABELS))
        if self._last_step is not None:
            records.append(self._last_step)
        if self._finished is not None:
            records.append(self._finished)
        return Log(tuple(records))

    def _goes_on(self) -> None:
        self._finished = None

    def _step(self, record: StepRecord) -> None:
        self._goes_on()
        self._last_step = record
        norm = math.nan if record.grad_norm is None else record.grad_norm
        self.steps.add((record.step, record.loss, record.lr, norm))

    def _evaluation(self, record: EvaluationRecord) -> None:
        self._goes_on()
        self.recent.append(record)
        if record.miou is not None and (self.best is None or record.miou > (self.best.miou or 0.0)):
            self.best = record
        ious = record.per_class_iou
        if len(ious) != self._classes:
            self._classes = len(ious)
            self.beginnings += 1
            self.evaluations = Picks(EVALUATIONS)
        self.evaluations.add((record.step, percent(record.miou), *map(percent, ious)))

    def _skipped(self, record: SkippedRecord) -> None:
        self._goes_on()
        self._last_skipped = record.step
        if record.reason != NO_LABELS:
            self._not_finite += 1
            self._last_not_finite = record.step

    def _ends(self, record: FinishedRecord) -> None:
        self._finished = record
