"""What trackio's own storage reads after a run was sent there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tracked_runs import at_home, begun, ended, evaluation, rewound, step

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.records.log import FinishedRecord, append_log
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.sending import track
from pixelwise.training.trackers.trackio import TrackioTracker

pytest.importorskip("trackio", reason="pip install 'pixelwise[trackio]'")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch, tmp_path)


def series() -> dict[str, dict[str, list[tuple[int, Any]]]]:
    """Run -> name -> (step, value), as trackio has them."""
    from trackio.sqlite_storage import SQLiteStorage

    found: dict[str, dict[str, list[tuple[int, Any]]]] = {}
    for run in SQLiteStorage.get_runs("pixelwise"):
        for row in SQLiteStorage.get_logs("pixelwise", run):
            for name in set(row) - {"step", "timestamp"}:
                found.setdefault(run, {}).setdefault(name, []).append((row["step"], row[name]))
    return found


def test_an_old_run_arrives_whole_and_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (sent,) = track(ended(tmp_path / "first"), to="trackio")
    ((name, found),) = series().items()
    assert (name, name.startswith("first-")) == (sent.tracked, True)
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert found["val-native/miou"] == [(2, 0.25), (4, 0.75)]
    assert found["result/val-native/miou"] == [(4, 0.75)]
    assert [number for number, _ in found["prediction/a_1"]] == [2, 4]
    from trackio.sqlite_storage import SQLiteStorage

    assert SQLiteStorage.get_run_config("pixelwise", name)["optimizer.lr"] == recipe("town-demo").optimizer.lr
    assert capsys.readouterr().out == ""


def test_a_run_that_was_followed_and_stopped_and_resumed_is_one_run(tmp_path: Path):
    folder = begun(tmp_path / "first", step(1), step(2), evaluation(2), step(3))
    Followers(folder, ("trackio",)).finish(60.0)
    rewound(folder, step(1), step(2), evaluation(2))
    append_log(folder, [step(3), step(4), FinishedRecord(step=4, seconds=8.0)])
    Followers(folder, ("trackio",)).finish(60.0)
    (found,) = series().values()
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]


def test_without_the_package_it_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(RecipeError) as caught:
        TrackioTracker.require()
    assert (caught.value.code, "pixelwise[trackio]" in caught.value.help) == ("R272", True)
