"""Tracker for TensorBoard, which shows curves in the browser: `tensorboard --logdir runs`."""

from __future__ import annotations

import contextlib
from typing import Any

from pixelwise.errors import RecipeError
from pixelwise.records.log import EvaluationRecord, StepRecord
from pixelwise.training.trackers.tracker import TrackedRun, Tracker, register_tracker

FOLDER = "tensorboard"


@register_tracker("tensorboard")
class TensorBoardTracker(Tracker):
    """Writes event files into RUN/tensorboard.

    Raises:
        RecipeError: R272, the package tensorboard is not installed.
    """

    def __init__(self) -> None:
        self._make = _writer_class()
        self._writer: Any = None
        self._classes: tuple[str, ...] = ()

    @classmethod
    def require(cls) -> None:
        """Refuse to go on without the package tensorboard (R272)."""
        _writer_class()

    def start(self, run: TrackedRun) -> None:
        """Open the event file; later steps that an interrupted run wrote are hidden."""
        self._writer = self._make(str(run.folder / FOLDER), purge_step=run.done + 1 if run.done else None)
        self._classes = run.data.classes
        if not run.done:
            self._writer.add_text("command", run.environment.command, 0)

    def step(self, step: StepRecord) -> None:
        """Write loss, learning rate and gradient norm."""
        for name in ("loss", "lr", "grad_norm"):
            value = getattr(step, name)
            if value is not None:
                self._writer.add_scalar(f"train/{name}", value, step.step)

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Write mean IoU, pixel accuracy and the IoU of each class."""
        values = {"miou": evaluation.miou, "pixel_accuracy": evaluation.pixel_accuracy}
        with contextlib.suppress(ValueError):  # another number of classes: per-class values are left out
            per_class = zip(self._classes, evaluation.per_class_iou, strict=True)
            values |= {f"iou/{name}": value for name, value in per_class}
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(f"{evaluation.split}-{evaluation.protocol}/{name}", value, evaluation.step)

    def flush(self) -> None:
        """Write pending events to the file, where an open TensorBoard sees them."""
        self._writer.flush()

    def finish(self) -> None:
        """Close the event file."""
        self._writer.close()


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # importing takes a second, so only on request
    except ImportError as error:
        raise RecipeError(
            "R272",
            f"tracker 'tensorboard' cannot be used: {error}",
            "pip install 'pixelwise[track]', or leave it out of `track`",
        ) from error
    return SummaryWriter
