from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from observers import Told
from reports.run_folders import write_run_folder

import pixelwise
from pixelwise.api.live import PageKeeper, keeping_page
from pixelwise.errors import StoppedError
from pixelwise.observer import SILENT, Observer, TrainingStart
from pixelwise.records.pictures import read_pictures
from pixelwise.records.status import read_status
from pixelwise.reports.displays import beginning

SHORT = ("schedule.iterations=4", "selection.every_epochs=1", "schedule.warmup_iterations=0")


def refresh_of(run: Path) -> int | None:
    """Seconds after which the page of a run reloads itself; None if it is over."""
    page = (run / "live.html").read_text("utf-8")
    return json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])["refresh"]


class Clock:
    """A clock that is set by hand, and notes when pages are written."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[float] = []

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    write_run_folder(run)
    return run


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch):
    """Replace the writing of pages by a note of the time, with a duration."""

    def replaced(clock: Clock, took: float) -> list[float]:
        def write(run: Path, *, going_on: bool) -> None:
            clock.written.append(clock.now)
            clock.now += took

        monkeypatch.setattr("pixelwise.api.live.write_live_pages", write)
        return clock.written

    return replaced


@pytest.mark.parametrize(("took", "expected"), [(0.1, [0.0, 11.0, 22.0]), (1.0, [0.0])])
def test_the_page_is_written_every_ten_seconds_but_never_takes_more_than_two_percent(
    took: float, expected: list[float], folder: Path, writes
):
    clock = Clock()
    written = writes(clock, took)
    keeper = PageKeeper(SILENT, folder, clock)
    while clock.now < 31:
        keeper.progress(1, 2)
        clock.now = float(int(clock.now) + 1)
    assert written == expected


def test_nothing_is_written_before_the_run_has_begun(tmp_path: Path):
    said: list[str] = []
    keeper = PageKeeper(Told(phase=said.append), tmp_path / "run")
    keeper.phase("looking at the data")
    assert said == ["looking at the data"]
    assert list(tmp_path.iterdir()) == []
    write_run_folder(tmp_path / "run")
    keeper.phase("training")  # without a wait for what could not be written before
    assert refresh_of(tmp_path / "run") == 10


def test_the_page_is_named_when_the_training_begins(folder: Path):
    told: list[TrainingStart] = []

    class Listening(Observer):
        def begin(self, start: TrainingStart) -> None:
            told.append(start)

    start = TrainingStart(network="", weights="", data="", batches="", machine="", folder=str(folder))
    with keeping_page(Listening()) as observer:
        observer.begin(start)
        observer.phase("training")
        assert refresh_of(folder) == 10
    assert told[0].page == str(folder / "live.html")
    assert f"watch    open {folder / 'live.html'} in a browser" in beginning(told[0])
    assert not any(line.startswith("watch") for line in beginning(start))
    assert refresh_of(folder) is None


def test_an_error_of_the_page_is_a_warning_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(run: Path, *, going_on: bool) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("pixelwise.api.live.write_live_pages", fail)
    said: list[tuple[str, str]] = []
    with keeping_page(Told(warn=lambda *what: said.append(what)), folder) as observer:
        observer.phase("training")
    assert said == [("W505", "no live page: RuntimeError: no room")]


@pytest.mark.heavy
def test_a_training_leaves_its_page_with_pictures(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    seen: list[int | None] = []
    run = tmp_path / "run"

    def look(phase: str, done: int, total: int | None) -> None:
        if phase == "evaluating" and (run / "live.html").exists():
            seen.append(refresh_of(run))

    pixelwise.train(str(tiny_recipe), tiny_data, run, overrides=SHORT, threads=1, observer=Told(progress=look))
    assert set(seen) == {10}
    assert refresh_of(run) is None
    page = (run / "live.html").read_text("utf-8")
    assert 'href="report.html"' in page
    assert page.count("Augmented image") == len(read_pictures(run).batch) == 2
    assert read_status(run).outcome == "finished"


@pytest.mark.heavy
def test_a_training_that_is_stopped_says_so_on_its_page(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    def stop(status: object) -> None:
        raise StoppedError("I075", "stopped by hand", "")

    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        pixelwise.train(str(tiny_recipe), tiny_data, run, overrides=SHORT, threads=1, observer=Told(step=stop))
    assert refresh_of(run) is None
    assert "stopped by hand [I075]" in (run / "live.html").read_text("utf-8")
    pixelwise.resume(run, evaluate=False)
    assert "Finished after step 4" in (run / "live.html").read_text("utf-8")
