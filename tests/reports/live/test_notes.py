from __future__ import annotations

import msgspec
import pytest

from pixelwise.machine.processes import process_mark
from pixelwise.observer import TrainingStatus
from pixelwise.records.log import NO_LABELS, EvaluationRecord, Log, SkippedRecord
from pixelwise.records.status import RunStatus
from pixelwise.reports.live.notes import notes


def scored(*mious: float | None) -> Log:
    return Log(
        tuple(
            EvaluationRecord(step=number, split="val", protocol="native", miou=miou)
            for number, miou in enumerate(mious)
        )
    )


def waiting(share: float) -> RunStatus:
    training = TrainingStatus(
        step=1, steps=12, epoch=1, epochs=3, loss=None, lr=0.1, images_per_second=None, data_wait_share=share,
        miou=None, best_miou=None,
    )  # fmt: skip
    return RunStatus(state="training", process=process_mark(), training=training)


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        (Log(), RunStatus(), []),
        (scored(0.6, 0.5, 0.4, 0.3, 0.2), RunStatus(), []),
        (
            scored(0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
            RunStatus(),
            ["amber mIoU has fallen 5 times in a row, from 60.00 to 10.00 %"],
        ),
        (scored(0.6, None, 0.5, 0.4, 0.3, 0.2, 0.1), RunStatus(), ["amber mIoU has fallen 5 times"]),
        (scored(0.6, 0.5, 0.5, 0.4, 0.3, 0.2), RunStatus(), []),
        (scored(0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.15), RunStatus(), []),
        (Log(), waiting(0.2), []),
        (Log(), waiting(0.21), ["amber 21 % of the time is spent waiting"]),
        (Log((SkippedRecord(step=3, reason=NO_LABELS),)), RunStatus(), []),
        (Log((SkippedRecord(step=3, reason="loss nan"),)), RunStatus(), ["red The loss or a gradient of step 3 was"]),
        (
            Log(tuple(SkippedRecord(step=step, reason="loss nan") for step in (3, 4))),
            waiting(0.5),
            ["red The loss or a gradient of 2 steps, the last one 4, was", "amber 50 %"],
        ),
    ],
)
def test_what_needs_a_look_is_said(log: Log, status: RunStatus, expected: list[str]):
    found = [f"{note.kind} {note.text}" for note in notes(log, status, live=True)]
    assert len(found) == len(expected)
    assert all(said.startswith(start) for said, start in zip(found, expected, strict=True)), found


def test_the_speed_of_a_run_that_is_over_is_of_no_interest():
    assert notes(Log(), waiting(0.9), live=False) == []


def test_a_process_that_was_killed_is_said():
    place = process_mark().partition("-")[0]
    killed = msgspec.structs.replace(waiting(0.0), process=f"{place}-4194304-1", pid=4194304)
    [note] = notes(Log(), killed, live=False)
    assert (note.kind, "4194304" in note.text) == ("red", True)
