from collections.abc import Sequence
from pathlib import Path

import pytest
from results import miniature
from tracked_runs import CLASSES, ended, evaluation, step

from pixelwise import telemetry
from pixelwise.errors import RecipeError
from pixelwise.records.log import FinishedRecord
from pixelwise.records.status import Pace
from pixelwise.records.tracking.series import Point
from pixelwise.training.trackers.curves import CurveTracker, require_package
from pixelwise.training.trackers.sending import track
from pixelwise.training.trackers.tracker import TRACKERS, TrackedRun, register_tracker


class Lists(CurveTracker):
    """Keeps what it is to send, flush by flush."""

    sent: list[list[Point]]

    def open(self, run: TrackedRun) -> None:
        assert run.data.classes == CLASSES

    def send(self, points: Sequence[Point]) -> None:
        self.sent.append(list(points))


def test_points_are_sent_together_and_once(tmp_path: Path):
    tracker = Lists()
    tracker.sent = []
    tracker.flush()
    tracker.step(step(1))
    tracker.pace(Pace(step=1, seconds=2.0))
    tracker.flush()
    tracker.flush()
    tracker.evaluation(evaluation(1))
    tracker.record(FinishedRecord(step=1, seconds=2.0))
    tracker.result("val-native", miniature(step=1))
    tracker.flush()
    names = [[point.name.partition("/")[0] for point in part] for part in tracker.sent]
    assert names == [["train"] * 3 + ["speed"] * 2, ["val-native"] * 2 + ["training"] + ["result"] * 5]


def test_a_run_has_the_same_series_in_every_tracker_of_curves(tmp_path: Path):
    kinds = [type("Other", (Lists,), {"sent": []}) for _ in range(2)]
    for name, kind in zip("ab", kinds, strict=True):
        register_tracker(name)(kind)
    try:
        track(ended(tmp_path), to=("a", "b"))
    finally:
        for name in "ab":
            TRACKERS.discard(name)
    assert kinds[0].sent == kinds[1].sent != []


def test_a_package_is_imported_with_its_telemetry_off(monkeypatch: pytest.MonkeyPatch):
    off: list[bool] = []
    monkeypatch.setattr(telemetry, "switch_off", lambda: off.append(True))
    assert require_package("json", "mine", "x").__name__ == "json"
    assert off == [True]
    with pytest.raises(RecipeError, match=r"'mine'.*no_such") as caught:
        require_package("no_such", "mine", "pixelwise[x]")
    assert (caught.value.code, "pixelwise[x]" in caught.value.help) == ("R272", True)
