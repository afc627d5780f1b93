from pathlib import Path

import pytest
import torch

from pixelwise.records.log import EvaluationRecord, StepRecord
from pixelwise.testing import check_tracker
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, Tracker, register_tracker


class Norm(Tracker):
    def step(self, step: StepRecord) -> None:
        assert step.grad_norm is not None


class Score(Tracker):
    def evaluation(self, evaluation: EvaluationRecord) -> None:
        self.percent = 100 * evaluation.miou  # type: ignore[operator]


class Continued(Tracker):
    def start(self, run: TrackedRun) -> None:
        (run.folder / "mine").mkdir()


class Closed(Tracker):
    def step(self, step: StepRecord) -> None:
        self.last = step

    def finish(self) -> None:
        print(self.last, end="")


class Random(Tracker):
    def step(self, step: StepRecord) -> None:
        torch.rand(())


@pytest.mark.parametrize(
    ("tracker", "words"),
    [
        (Norm, "wrong: .*complete.*: AssertionError"),
        (Score, "wrong: .*complete.*: TypeError"),
        (Continued, "wrong: .*continued.*: FileExistsError"),
        (Closed, "wrong: .*without any step.*: AttributeError"),
        (Random, "wrong: .*random generator"),
    ],
)
def test_what_a_tracker_does_not_bear_is_said(tracker: type[Tracker], words: str, tmp_path: Path):
    register_tracker("wrong")(tracker)
    try:
        with pytest.raises(AssertionError, match=words):
            check_tracker("wrong", tmp_path)
    finally:
        TRACKERS.discard("wrong")


def test_one_that_does_nothing_bears_everything(tmp_path: Path):
    register_tracker("silent")(type("Silent", (Tracker,), {}))
    try:
        check_tracker("silent", tmp_path)
    finally:
        TRACKERS.discard("silent")
