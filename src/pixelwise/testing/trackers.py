"""Contract check for trackers."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import torch

from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.log import EvaluationRecord, FinishedRecord, ResumeRecord, SkippedRecord, StepRecord
from pixelwise.records.result import RESULT, Result
from pixelwise.records.status import Pace
from pixelwise.training.trackers.tracker import TrackedPicture, TrackedRun, Tracker, make_tracker

STEPS = 8


def check_tracker(name: str, folder: Path) -> None:
    """Check that a tracker handles everything that a run may report.

    The check reports a complete run with its scores, a picture and a file; a run that is stopped in the middle and
    continued with a new tracker; steps whose loss is not finite or whose gradient norm is not recorded; missing scores;
    and a run that fails right after its start. A tracker that names the run in `tracked` must keep that name when the
    run is continued. PyTorch's random state must stay unchanged.

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
        data=DataFacts(dataset="town", classes=("road", "sky (grey), 50 %")),
        steps=STEPS,
        done=0,
    )
    _report(name, run, range(1, STEPS + 1), "a complete run")
    interrupted = msgspec.structs.replace(run, folder=folder / "interrupted")
    tracked = _report(name, interrupted, range(1, 5), "a stopped run")
    further = msgspec.structs.replace(interrupted, done=4, tracked=tracked)
    if _report(name, further, range(5, STEPS + 1), "a continued run") != tracked:
        raise AssertionError(f"{name}: a continued run has another name in `tracked` than before")
    _report(name, msgspec.structs.replace(run, folder=folder / "failed"), range(0), "a run without any step")
    if not torch.equal(state, torch.get_rng_state()):
        raise AssertionError(f"{name}: it draws from PyTorch's random generator, which changes the run that it tracks")


def _report(name: str, run: TrackedRun, steps: range, what: str) -> str:
    """Report a run, or the rest of one; returns the tracker's name for it."""
    run.folder.mkdir(parents=True, exist_ok=True)
    tracker = make_tracker(name)
    whole = bool(steps) and steps[-1] == run.steps
    try:
        if not isinstance(tracker.place(), str):
            raise TypeError("`place` gives no text")
        tracker.start(run)
        if run.done:
            tracker.record(ResumeRecord(step=run.done))
        for step in steps:
            _report_step(tracker, step)
        if whole:
            tracker.record(SkippedRecord(step=run.steps, reason="no labelled pixel", images=("a",)))
            tracker.record(FinishedRecord(step=run.steps, seconds=1.0))
            _report_files(tracker, run.folder, run.steps)
        tracker.flush()
        tracker.state("finished" if whole else "stopped")
        tracker.finish()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise AssertionError(f"{name}: it fails for {what}: {reason}") from error
    return tracker.tracked


def _report_step(tracker: Tracker, step: int) -> None:
    loss, norm = (math.inf, None) if step == 2 else (1 / step, 2.0)
    tracker.step(StepRecord(step=step, epoch=1 + step // 4, loss=loss, lr=0.1, grad_norm=norm))
    if step % 4 == 0:
        known = {"pixel_accuracy": 0.5, "per_class_iou": (0.25, None)} if step > 4 else {}
        miou = 0.25 if step > 4 else None
        tracker.evaluation(EvaluationRecord(step=step, split="val", protocol="native", miou=miou, **known))
        tracker.pace(Pace(step=step, seconds=1.0))
        tracker.picture(TrackedPicture("a/b (1).png", step, np.zeros((4, 6, 3), np.uint8)))
        tracker.flush()


def _report_files(tracker: Tracker, run: Path, step: int) -> None:
    result = msgspec.convert(dict.fromkeys(_NUMBERS, 0.25) | _RESULT | {"step": step}, Result)
    path = evaluation_folder(run, "val", "native") / RESULT
    path.parent.mkdir(parents=True)
    path.write_text("{}", "utf-8", newline="\n")
    tracker.result(path.parent.name, result)
    tracker.file(path.relative_to(run).as_posix(), path)


_NUMBERS = ("miou", "pixel_accuracy", "seconds", "images_per_second")
_MACHINE = {"cpu": "", "cores": 1, "threads": 1, "gpu": None, "memory_bytes": 1, "platform": "", "features": ()}
_RESULT = {
    "per_class": (),
    "confusion_matrix": (),
    "images": 1,
    "classes_present": 0,
    "split": "val",
    "protocol": "native",
    "input_size": None,
    "recipe": "town-demo",
    "recipe_hash": "",
    "weights_sha256": "",
    "weights": "model",
    "training": None,
    "data_fingerprint": "",
    "peak_memory_bytes": 1,
    "machine": _MACHINE,
    "versions": {},
    "command": "",
}
