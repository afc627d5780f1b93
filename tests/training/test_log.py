import json
import resource
from pathlib import Path

import pytest
import torch
from observers import Told
from tracked_runs import begun, remembering

from pixelwise.errors import ResourceError
from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, ResumeRecord, WarningRecord
from pixelwise.training import log as module
from pixelwise.training.log import RunLog
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, register_tracker


def tracked(folder: Path, done: int = 0) -> TrackedRun:
    return TrackedRun(
        folder=folder, recipe=recipe("town-demo"), environment=Environment(), data=DataFacts(), steps=9, done=done
    )


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def step(log: RunLog, number: int, loss: float = 2.0) -> None:
    log.step(number, 1, 0.5, torch.tensor(loss), torch.tensor(3.0))


def test_records_come_out_in_the_order_they_went_in(tmp_path: Path):
    log = RunLog(tracked(tmp_path), SILENT)
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


def test_a_tracker_that_fails_is_a_warning_in_the_log_and_of_the_observer(tmp_path: Path):
    said: list[tuple[str, str]] = []
    run = begun(tmp_path)
    register_tracker("broken")(remembering("step 1"))
    try:
        followers = Followers(run, ("broken",))
        log = RunLog(tracked(run), Told(warn=lambda *warning: said.append(warning)), followers)
        log.start(-1)
        step(log, 1)
        log.flush()
        log.record(ResumeRecord(step=1))
        log.finish()
    finally:
        TRACKERS.discard("broken")
    ((code, message),) = said
    assert (code, "'broken'" in message, "OSError: no connection" in message) == ("W504", True, True)
    logged = [record for record in lines(run) if record["kind"] == "warning"]
    assert [(record["code"], record["message"]) for record in logged] == [("W504", message)]
    assert "secret" not in (run / "log.jsonl").read_text()


def test_trackers_receive_what_the_log_holds(tmp_path: Path):
    run, mine = begun(tmp_path), remembering()
    register_tracker("mine")(mine)
    try:
        log = RunLog(tracked(run), SILENT, Followers(run, ("mine",)))
        log.start(-1)
        step(log, 1)
        log.evaluation(EvaluationRecord(step=1, split="val", protocol="native", miou=0.25))
        log.finish()
    finally:
        TRACKERS.discard("mine")
    assert mine.told == ["start 0", "step 1", "evaluation 1", "state stopped", "finish"]


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
