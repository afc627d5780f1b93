"""What needs a look while a run is trained: red and amber notes, computed from log and status."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pixelwise.records.log import NO_LABELS, EvaluationRecord, Log, SkippedRecord
from pixelwise.records.status import RunStatus

FALLING = 5
"""Number of evaluations in a row, each below the one before, that are worth a note."""
LONG_WAIT = 0.2
"""Share of the time spent waiting for data from which on a note says so."""


class Note(NamedTuple):
    """A note.

    Attributes:
        kind: `red` for what makes the result worthless, `amber` for what makes it worse or slower.
        text: One or two sentences with a way out; commands in backticks.
    """

    kind: Literal["red", "amber"]
    text: str


def notes(log: Log, status: RunStatus, *, live: bool) -> list[Note]:
    """The notes on a run, the red ones first.

    Args:
        log: The log of the run.
        status: Its status.
        live: Whether it goes on; of a run that has ended, its speed is of no interest.
    """
    found = [_broken_off(status), _not_finite(log), _falls(log.of(EvaluationRecord)), _waits(status) if live else None]
    return sorted((note for note in found if note is not None), key=lambda note: note.kind != "red")


def _broken_off(status: RunStatus) -> Note | None:
    if not status.broke_off:
        return None
    return Note("red", f"Process {status.pid} has ended without a word: it was killed, or the computer restarted.")


def _not_finite(log: Log) -> Note | None:
    bad = [record.step for record in log.of(SkippedRecord) if record.reason != NO_LABELS]
    return not_finite_note(len(bad), bad[-1]) if bad else None


def not_finite_note(number: int, last: int) -> Note:
    """The note on steps whose loss or gradient was not finite.

    Args:
        number: Number of these steps, at least 1.
        last: The last of them.
    """
    where = f"step {last}" if number == 1 else f"{number} steps, the last one {last},"
    return Note(
        "red",
        f"The loss or a gradient of {where} was not finite; such a step changes nothing. If it goes on, begin again "
        "with a lower `optimizer.lr` or with `optimizer.clip_norm=1.0`.",
    )


def _falls(evaluations: Sequence[EvaluationRecord]) -> Note | None:
    scores = [record.miou for record in evaluations if record.miou is not None][-FALLING - 1 :]
    if len(scores) <= FALLING or any(after >= before for before, after in itertools.pairwise(scores)):
        return None
    return Note(
        "amber",
        f"mIoU has fallen {FALLING} times in a row, from {100 * scores[0]:.2f} to {100 * scores[-1]:.2f} %: the "
        "network begins to learn the training images by heart. The best weights are kept; fewer epochs or stronger "
        "augmentation would help.",
    )


def _waits(status: RunStatus) -> Note | None:
    share = status.training.data_wait_share if status.training is not None else 0.0
    if share <= LONG_WAIT:
        return None
    return Note(
        "amber",
        f"{100 * share:.0f} % of the time is spent waiting for images. After a stop, resume with more `data.workers`, "
        "or with `data.cache=memory` if the images fit.",
    )
