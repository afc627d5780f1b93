"""Contract check for trackers."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import torch

from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import EvaluationRecord, FinishedRecord, ResumeRecord, SkippedRecord, StepRecord
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, Tracker

STEPS = 8


def check_tracker(name: str, folder: Path) -> None:
    """Check that a tracker handles everything that a run may report.

    The check reports a complete run; a run that is stopped in the middle and continued with a new tracker; steps whose
    loss is not finite or whose gradient norm is not recorded; missing scores; and a run that fails right after its
    start. The tracker must leave PyTorch's random state unchanged.

    Args:
        name: Registered name of the tracker.
        folder: Empty folder in which run folders are created.

    Raises:
        AssertionError: The tracker fails or changes the random state; the message says where.
    """
    state = torch.get_rng_state()
    run = TrackedRun(
        folder=folder / "whole",
        recipe=recipe("town-demo"),
        environment=Environment(command="pixelwise train town-demo"),
        data=DataFacts(dataset="town", classes=("road", "sky")),
        steps=STEPS,
        done=0,
    )
    _report(name, run, range(1, STEPS + 1), "a complete run")
    interrupted = msgspec.structs.replace(run, folder=folder / "interrupted")
    _report(name, interrupted, range(1, 5), "a stopped run")
    _report(name, msgspec.structs.replace(interrupted, done=3), range(4, STEPS + 1), "a continued run")
    _report(name, msgspec.structs.replace(run, folder=folder / "failed"), range(0), "a run without any step")
    if not torch.equal(state, torch.get_rng_state()):
        raise AssertionError(f"{name}: it draws from PyTorch's random generator, which changes the run that it tracks")


def _report(name: str, run: TrackedRun, steps: range, what: str) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    tracker: Tracker = TRACKERS.find(name)()
    try:
        tracker.start(run)
        if run.done:
            tracker.record(ResumeRecord(step=run.done))
        for step in steps:
            loss, norm = (math.inf, None) if step == 2 else (1 / step, 2.0)
            tracker.step(StepRecord(step=step, epoch=1 + step // 4, loss=loss, lr=0.1, grad_norm=norm))
            if step % 4 == 0:
                known = {"pixel_accuracy": 0.5, "per_class_iou": (0.25, None)} if step > 4 else {}
                miou = 0.25 if step > 4 else None
                tracker.evaluation(EvaluationRecord(step=step, split="val", protocol="native", miou=miou, **known))
                tracker.flush()
        if steps and steps[-1] == run.steps:
            tracker.record(SkippedRecord(step=run.steps, reason="no labelled pixel", images=("a",)))
            tracker.record(FinishedRecord(step=run.steps, seconds=1.0))
        tracker.flush()
        tracker.finish()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise AssertionError(f"{name}: it fails for {what}: {reason}") from error
