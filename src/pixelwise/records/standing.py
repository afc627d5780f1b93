"""Where a run stands: finished, stopped, diverged, being trained, or imported weights that were never trained here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.records.log import (
    MAX_BAD_STEPS,
    NO_LABELS,
    EvaluationRecord,
    FinishedRecord,
    Log,
    ResumeRecord,
    SkippedRecord,
    StepRecord,
)
from pixelwise.storage import printable

State = Literal["finished", "stopped", "diverged", "training", "imported"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run stands.

    Attributes:
        state: `finished`; `stopped`, by a signal or a crash; `diverged`; `training`, by another process right now;
            `imported`, weights that were not trained here.
        step: Number of steps that were taken.
        steps: Number of steps of the whole training; None if it cannot be told.
        saved: Step of the newest checkpoint; None if there is none.
    """

    state: State
    step: int = 0
    steps: int | None = None
    saved: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether training has not come to its end."""
        return self.state in ("stopped", "diverged", "training")


def standing_of(log: Log, *, saved: int | None, trained: bool, steps: int | None, held: bool = False) -> Standing:
    """Where a run stands, from its log and its newest checkpoint.

    Args:
        log: The log of the run.
        saved: Step of the newest checkpoint; None if there is none.
        trained: Whether the newest checkpoint was written by a training here.
        steps: Number of steps of the whole training; None if it cannot be told.
        held: Whether another process holds the run's lock.
    """
    logged = [record.step for record in log.records if isinstance(record, (StepRecord, SkippedRecord))]
    step = max([*logged, saved or 0])
    if not log.records and saved is not None and not trained:
        return Standing(state="imported", step=saved, saved=saved)
    state: State = "stopped"
    if has_finished(log) or (steps is not None and saved is not None and saved >= steps):
        state = "finished"
    elif held:
        state = "training"
    elif _has_diverged(log):
        state = "diverged"
    return Standing(state=state, step=step, steps=steps, saved=saved)


def has_finished(log: Log) -> bool:
    """Whether the last thing that the training did was to finish."""
    for record in reversed(log.records):
        if isinstance(record, FinishedRecord):
            return True
        if isinstance(record, (StepRecord, SkippedRecord, ResumeRecord, EvaluationRecord)):
            return False
    return False


def in_words(standing: Standing, run: Path) -> str:
    """`stopped at step 22 of 108 - pixelwise resume RUN`; empty if the run has finished or was imported."""
    of = f" of {standing.steps}" if standing.steps is not None else ""
    saved = ""
    if standing.saved is None:
        saved = ", before anything was saved"
    elif standing.saved < standing.step:
        saved = f" (saved at step {standing.saved})"
    command = f"pixelwise resume {shlex.quote(printable(run))}"
    words = {
        "stopped": f"stopped at step {standing.step}{of}{saved} - {command}",
        "diverged": f"diverged at step {standing.step}{of}{saved}: {MAX_BAD_STEPS} steps in a row had a loss or "
        "gradient that is not finite - start a new run with a lower optimizer.lr or with optimizer.clip_norm=1.0",
        "training": f"still being trained: step {standing.step}{of}{saved}",
    }
    return words.get(standing.state, "")


def _has_diverged(log: Log) -> bool:
    """Whether the log ends with as many non-finite steps in a row as end a run."""
    taken = [record for record in log.records if isinstance(record, (StepRecord, SkippedRecord, ResumeRecord))]
    last = taken[-MAX_BAD_STEPS:]
    bad = [one for one in last if isinstance(one, SkippedRecord) and one.reason != NO_LABELS]
    return len(bad) == MAX_BAD_STEPS
