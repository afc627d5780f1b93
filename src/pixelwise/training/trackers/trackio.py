"""Tracker for trackio: a database on this machine (`TRACKIO_DIR`), a Hugging Face Space or a server of one's own."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pixelwise.records.tracking.marks import without_secrets
from pixelwise.records.tracking.series import Point, parameters_of, tags_of
from pixelwise.training.trackers.curves import PROJECT, CurveTracker, require_package
from pixelwise.training.trackers.tracker import TrackedPicture, TrackedRun, register_tracker

INSTALL = "pixelwise[trackio]"
_SPEAKING = ("trackio", "trackio.run", "trackio.utils", "trackio.deploy")
"""Modules that print to standard output, which belongs to the results of the verbs."""


@register_tracker("trackio")
class TrackioTracker(CurveTracker):
    """Sends a run to trackio, into the project of `TRACKIO_PROJECT`, or `pixelwise`.

    Raises:
        RecipeError: R272, the package trackio is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trackio = require_package("trackio", "trackio", INSTALL)
        # trackio keeps the run at work in a context variable, and closes it when the process ends.
        self._context = contextvars.copy_context()
        self._run: Any = None

    @classmethod
    def require(cls) -> None:
        """Refuse to go on without the package trackio (R272)."""
        require_package("trackio", "trackio", INSTALL)

    def place(self) -> str:
        """The Space, the server, or the folder of the databases."""
        remote = os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL")
        return without_secrets(remote or str(self._trackio.utils.TRACKIO_DIR))

    def open(self, run: TrackedRun) -> None:
        """Create a run with the recipe as its configuration, or go on with the one of `run.tracked`."""
        # Runs are told apart by their names alone.
        self.tracked = run.tracked or f"{run.name}-{uuid.uuid4().hex[:8]}"
        project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        self.where = f"trackio show --project {project}"
        self._run = self._call(
            self._trackio.init,
            project=project,
            name=self.tracked,
            resume="allow",
            config=parameters_of(run.recipe) | {"tags": tags_of(run.environment, run.data)},
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def send(self, points: Sequence[Point]) -> None:
        """Send the points, those of one step together."""
        rows: dict[int, dict[str, Any]] = {}
        for point in points:
            rows.setdefault(point.step, {})[point.name] = point.value
        for step in sorted(rows):
            self._call(self._run.log, rows[step], step=step)

    def picture(self, picture: TrackedPicture) -> None:
        """Send a picture."""
        image = self._trackio.Image(picture.pixels)
        self._call(self._run.log, {f"prediction/{picture.id.replace('/', '_')}": image}, step=picture.step)

    def finish(self) -> None:
        """Wait until everything is written."""
        self.flush()
        self._call(self._run.finish)

    def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with _silent():
            return self._context.run(function, *arguments, **named)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Let trackio's modules print nothing during the block; there is no option for it.

    Standard output itself stays: other threads print at the same time.
    """
    modules = [sys.modules[name] for name in _SPEAKING if name in sys.modules]
    for module in modules:
        vars(module)["print"] = lambda *anything, **named: None
    try:
        yield
    finally:
        for module in modules:
            vars(module).pop("print", None)
