from pathlib import Path

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, ResumeRecord, StepRecord, read_log
from pixelwise.training.trackers.jsonl import JsonlTracker
from pixelwise.training.trackers.tracker import TrackedRun


def test_records_are_appended_in_order_with_each_flush(tmp_path: Path):
    tracker = JsonlTracker()
    tracker.start(
        TrackedRun(
            folder=tmp_path,
            recipe=recipe("town-demo"),
            environment=Environment(),
            data=DataFacts(),
            steps=2,
            done=0,
        )
    )
    step = StepRecord(step=1, epoch=1, loss=2.0, lr=0.5, grad_norm=1.0)
    evaluation = EvaluationRecord(step=1, split="val", protocol="native", miou=0.5)
    tracker.step(step)
    assert read_log(tmp_path).records == ()
    tracker.evaluation(evaluation)
    tracker.flush()
    tracker.record(ResumeRecord(step=1))
    tracker.flush()
    tracker.flush()
    assert read_log(tmp_path).records == (step, evaluation, ResumeRecord(step=1))


def test_a_table_that_cannot_be_written_is_completed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def locked(*anything: object) -> None:
        raise PermissionError("a spreadsheet keeps it open")

    tracker = JsonlTracker()
    tracker.start(
        TrackedRun(
            folder=tmp_path, recipe=recipe("town-demo"), environment=Environment(), data=DataFacts(), steps=2, done=0
        )
    )
    monkeypatch.setattr("pixelwise.training.trackers.jsonl.append_table", locked)
    tracker.step(StepRecord(step=1, epoch=1, loss=2.0, lr=0.5))
    tracker.flush()
    assert [record.step for record in read_log(tmp_path).of(StepRecord)] == [1]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1
    tracker.finish()
    assert [line[:2] for line in (tmp_path / "log.csv").read_text().splitlines()] == ["st", "1,"]


def test_a_flush_before_the_start_is_an_error():
    tracker = JsonlTracker()
    tracker.record(ResumeRecord(step=1))
    with pytest.raises(RuntimeError, match="started"):
        tracker.flush()
