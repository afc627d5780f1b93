"""What every tracker must bear, whoever registers it: one function that says what it does not."""

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
    """Check that a tracker bears whatever a run may tell it.

    A run that is told to its end; one that is stopped in the middle and continued by a new tracker; steps whose loss is
    not finite or whose gradient norm is not recorded; scores that do not exist; a run that fails right after its start.
    PyTorch's random generator stays as it is.

    Args:
        name: As it was registered.
        folder: An empty folder, in which run folders are made.

    Raises:
        AssertionError: What it does not bear, in a sentence.
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
    _tell(name, run, range(1, STEPS + 1), "a run")
    interrupted = msgspec.structs.replace(run, folder=folder / "interrupted")
    _tell(name, interrupted, range(1, 5), "a run that is stopped")
    _tell(name, msgspec.structs.replace(interrupted, done=3), range(4, STEPS + 1), "a run that is continued")
    _tell(name, msgspec.structs.replace(run, folder=folder / "failed"), range(0), "a run that fails at once")
    if not torch.equal(state, torch.get_rng_state()):
        raise AssertionError(f"{name}: it draws from PyTorch's random generator, so a run with it is another one")


def _tell(name: str, run: TrackedRun, steps: range, what: str) -> None:
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
        raise AssertionError(f"{name}: it fails when it is told of {what}: {reason}") from error
