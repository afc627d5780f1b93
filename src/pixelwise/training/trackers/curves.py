"""What trackers of curves have in common: records become points of named series, which are sent together."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from pixelwise import telemetry
from pixelwise.errors import RecipeError
from pixelwise.records.log import AnyRecord, EvaluationRecord, StepRecord
from pixelwise.records.result import Result
from pixelwise.records.status import Pace
from pixelwise.records.tracking.series import Point, points_of, points_of_pace, points_of_result
from pixelwise.training.trackers.tracker import TrackedRun, Tracker

PROJECT = "pixelwise"
"""Name of the experiment or project in trackers that have such."""


class CurveTracker(Tracker):
    """A tracker of curves. A subclass says how to begin, `open`, and how to send points, `send`.

    The names of the series are those of `pixelwise.records.tracking.series`, the same in every tracker.
    """

    def __init__(self) -> None:
        self._classes: tuple[str, ...] = ()
        self._points: list[Point] = []

    def open(self, run: TrackedRun) -> None:
        """Begin with a run, with its recipe as parameters and its tags, or go on with `run.tracked`."""
        raise NotImplementedError

    def send(self, points: Sequence[Point]) -> None:
        """Send points of any series, in the order of their steps within each."""
        raise NotImplementedError

    def start(self, run: TrackedRun) -> None:
        """Begin with a run, or go on with it."""
        self._classes = run.data.classes
        self.open(run)

    def step(self, step: StepRecord) -> None:
        """Keep loss, learning rate and gradient norm for the next flush."""
        self._points += points_of(step, self._classes)

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """Keep mean IoU, pixel accuracy and the IoU of each class for the next flush."""
        self._points += points_of(evaluation, self._classes)

    def record(self, record: AnyRecord) -> None:
        """Keep the cost of the training for the next flush."""
        self._points += points_of(record, self._classes)

    def pace(self, pace: Pace) -> None:
        """Keep speed and memory for the next flush."""
        self._points += points_of_pace(pace)

    def result(self, name: str, result: Result) -> None:
        """Keep the scores for the next flush."""
        self._points += points_of_result(name, result)

    def flush(self) -> None:
        """Send the points kept since the last flush."""
        points, self._points = self._points, []
        if points:
            self.send(points)


def require_package(name: str, tracker: str, install: str) -> ModuleType:
    """Import the package of a tracker, with its telemetry switched off.

    Args:
        name: Full name of the module.
        tracker: Name of the tracker, for the error.
        install: Requirement for `pip install` that brings the package.

    Raises:
        RecipeError: R272, it is not installed, or not all that it needs.
    """
    telemetry.switch_off()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RecipeError(
            "R272",
            f"tracker '{tracker}' cannot be used: {error}",
            f"pip install '{install}', or use another tracker",
        ) from error
