import json
import resource
from pathlib import Path

import pytest
import torch
from observers import Told

from pixelwise.errors import ResourceError
from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, StepRecord, WarningRecord
from pixelwise.training import log as module
from pixelwise.training.log import RunLog
from pixelwise.training.trackers.tracker import TrackedRun, Tracker


def tracked(folder: Path, done: int = 0) -> TrackedRun:
    return TrackedRun(
        folder=folder, recipe=recipe("town-demo"), environment=Environment(), data=DataFacts(), steps=9, done=done
    )


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def step(log: RunLog, number: int, loss: float = 2.0) -> None:
    log.step(number, 1, 0.5, torch.tensor(loss), torch.tensor(3.0))


class Listening(Tracker):
    """Remembers what it is told, and fails where it is asked to."""

    def __init__(self, fails_at: str = "") -> None:
        self.told: list[str] = []
        self.fails_at = fails_at

    def _hear(self, what: str) -> None:
        self.told.append(what)
        if what == self.fails_at:
            raise OSError("no connection")

    def start(self, run: TrackedRun) -> None:
        self._hear(f"start {run.done}")

    def step(self, step: StepRecord) -> None:
        self._hear(f"step {step.step} {step.loss}")

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        self._hear(f"evaluation {evaluation.step}")

    def record(self, record) -> None:
        self._hear(f"{type(record).__name__} {record.step}")

    def finish(self) -> None:
        self._hear("finish")


def test_records_come_out_in_the_order_they_went_in(tmp_path: Path):
    listening = Listening()
    log = RunLog(tracked(tmp_path), SILENT, {"mine": listening})
    log.start(-1)
    step(log, 1)
    log.evaluation(EvaluationRecord(step=1, split="val", protocol="native", miou=0.25))
    log.finish()
    assert lines(tmp_path) == [
        {"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.5, "grad_norm": 3.0},
        {
            "kind": "evaluation", "step": 1, "split": "val", "protocol": "native", "miou": 0.25,
            "pixel_accuracy": None, "per_class_iou": [],
        },
    ]  # fmt: skip
    assert log.latest_loss == 2.0
    assert listening.told == ["start 0", "step 1 2.0", "evaluation 1", "finish"]


def test_losses_are_brought_from_the_device_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FLUSH_STEPS", 3)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 1e9)
    log = RunLog(tracked(tmp_path), SILENT)
    log.start(-1)
    for number in (1, 2):
        step(log, number)
    assert not (tmp_path / "log.jsonl").exists()
    assert log.latest_loss is None
    step(log, 3, loss=5.0)
    assert [record["step"] for record in lines(tmp_path)] == [1, 2, 3]
    assert log.latest_loss == 5.0


def test_a_resumed_run_discards_records_after_the_last_checkpoint(tmp_path: Path):
    log = RunLog(tracked(tmp_path), SILENT)
    log.start(-1)
    for number in (1, 2, 3):
        step(log, number)
    log.flush()
    log = RunLog(tracked(tmp_path, done=2), SILENT)
    log.start(-1)
    step(log, 3)
    log.flush()
    assert [record["step"] for record in lines(tmp_path)] == [1, 2, 3]


def test_a_warning_is_logged_and_reaches_the_observer(tmp_path: Path):
    said: list[tuple[str, str]] = []
    log = RunLog(tracked(tmp_path), Told(warn=lambda *warning: said.append(warning)))
    log.start(-1)
    step(log, 4)
    log.warn("W501", "nothing changed")
    log.warn("W503", "slow", step=2)
    assert said == [("W501", "nothing changed"), ("W503", "slow")]
    assert [(record["kind"], record["step"]) for record in lines(tmp_path)] == [
        ("step", 4), ("warning", 4), ("warning", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("fails_at", ["start 0", "step 1 2.0", "evaluation 1", "WarningRecord 1", "finish"])
def test_a_tracker_that_fails_is_a_warning_and_the_others_go_on(fails_at: str, tmp_path: Path):
    said: list[tuple[str, str]] = []
    broken, healthy = Listening(fails_at), Listening()
    log = RunLog(
        tracked(tmp_path), Told(warn=lambda *warning: said.append(warning)), {"broken": broken, "healthy": healthy}
    )
    log.start(-1)
    step(log, 1)
    log.evaluation(EvaluationRecord(step=1, split="val", protocol="native", miou=0.25))
    log.record(WarningRecord(step=1, code="W501", message="x"))
    log.finish()
    ((code, message),) = said
    assert code == "W504"
    assert "'broken'" in message
    assert "OSError: no connection" in message
    assert broken.told[-1] == fails_at
    told = [what for what in healthy.told if what != "WarningRecord 1" and not what.startswith("WarningRecord 0")]
    assert told == ["start 0", "step 1 2.0", "evaluation 1", "finish"]
    assert [record["kind"] for record in lines(tmp_path) if record.get("code") != "W504"] == [
        "step", "evaluation", "warning",
    ]  # fmt: skip


def test_several_trackers_that_fail_at_once_leave_the_others_alone(tmp_path: Path):
    class Strict(Listening):
        """Refuses what comes before the start or after the end."""

        def flush(self) -> None:
            assert self.told
            assert self.told[-1] != "finish"

    for fails_at in ("start 0", "step 1 2.0", "finish"):
        said: list[str] = []
        trackers = {"a": Listening(fails_at), "b": Listening(fails_at), "c": Strict()}
        folder = tmp_path / fails_at
        folder.mkdir()
        log = RunLog(tracked(folder), Told(warn=lambda code, message, said=said: said.append(message)), trackers)
        log.start(-1)
        step(log, 1)
        log.flush()
        log.finish()
        assert [message.split("'")[1] for message in said] == ["a", "b"]
        assert [record["code"] for record in lines(folder) if record["kind"] == "warning"] == ["W504", "W504"]
        assert trackers["c"].told[-1] == "finish"


def test_C5_a_full_disk_is_s601(tmp_path: Path):
    log = RunLog(tracked(tmp_path), SILENT)
    log.start(-1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"log\.jsonl") as caught:
            log.record(WarningRecord(step=1, code="W501", message="x" * 200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.code == "S601"
