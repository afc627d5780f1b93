"""Tracker for TensorBoard, which shows curves in the browser: `tensorboard --logdir runs`."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from typing import Any

from pixelwise.records.tracking.series import Point, parameters_of, tags_of
from pixelwise.storage import printable
from pixelwise.training.trackers.curves import CurveTracker, require_package
from pixelwise.training.trackers.tracker import TrackedPicture, TrackedRun, register_tracker

FOLDER = "tensorboard"
_MODULE = "torch.utils.tensorboard"  # importing it takes a second, so only on request


@register_tracker("tensorboard")
class TensorBoardTracker(CurveTracker):
    """Writes event files into RUN/tensorboard.

    Raises:
        RecipeError: R272, the package tensorboard is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._make = _writer_class()
        self._writer: Any = None
        _leave_out_threads()

    @classmethod
    def require(cls) -> None:
        """Refuse to go on without the package tensorboard (R272)."""
        _writer_class()

    def open(self, run: TrackedRun) -> None:
        """Open an event file; later steps that an earlier file holds are hidden."""
        folder = run.folder / FOLDER
        self.where = f"tensorboard --logdir {shlex.quote(printable(folder))}"
        self._writer = self._make(str(folder), purge_step=run.done + 1 if run.done else 0)
        if not run.done:
            self._writer.add_text("command", run.environment.command, 0)
            for name, facts in (("recipe", parameters_of(run.recipe)), ("tags", tags_of(run.environment, run.data))):
                self._writer.add_text(name, _table(facts), 0)

    def send(self, points: Sequence[Point]) -> None:
        """Write the points to the file, where an open TensorBoard sees them."""
        for point in points:
            self._writer.add_scalar(point.name, point.value, point.step)
        self._writer.flush()

    def picture(self, picture: TrackedPicture) -> None:
        """Write a picture."""
        self._writer.add_image(f"prediction/{picture.id}", picture.pixels, picture.step, dataformats="HWC")

    def finish(self) -> None:
        """Close the event file."""
        self.flush()
        self._writer.close()


def _leave_out_threads() -> None:
    """Keep errors of TensorBoard's threads, such as a full disk, off the terminal: `flush` raises them again."""
    before = threading.excepthook
    if getattr(before, "__module__", None) == __name__:
        return

    def hook(thrown: threading.ExceptHookArgs) -> None:
        if not type(thrown.thread).__module__.startswith("tensorboard."):
            before(thrown)

    threading.excepthook = hook


def _writer_class() -> Any:
    return require_package(_MODULE, "tensorboard", "pixelwise[track]").SummaryWriter


def _table(facts: dict[str, Any]) -> str:
    """A table in Markdown, which TensorBoard shows as one."""
    rows = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in facts.items()]
    return "\n".join(["| field | value |", "|---|---|", *rows])
