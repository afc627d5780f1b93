from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from observers import Told

from pixelwise.errors import StoppedError
from pixelwise.machine.memory import total_memory
from pixelwise.machine.processes import process_mark
from pixelwise.observer import SILENT, TrainingStatus
from pixelwise.records.status import (
    MOST_PACES,
    STATUS,
    Pace,
    RunStatus,
    StatusKeeper,
    keeping_status,
    read_status,
)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def after(step: int, steps: int = 100) -> TrainingStatus:
    return TrainingStatus(
        step=step,
        steps=steps,
        epoch=1,
        epochs=10,
        loss=0.5,
        lr=0.01,
        images_per_second=8.0,
        data_wait_share=0.25,
        miou=None,
        best_miou=None,
    )


def keeper(run: Path, clock: Clock) -> StatusKeeper:
    started = StatusKeeper(run, SILENT, "training", clock)
    started.write()
    return started


def test_a_run_without_the_file_or_with_a_damaged_one_is_over(tmp_path: Path):
    assert read_status(tmp_path) == RunStatus()
    (tmp_path / STATUS).write_text('{"state": "walking"}')
    assert read_status(tmp_path) == RunStatus()
    assert not RunStatus().goes_on(0.0)
    assert not RunStatus().broke_off


def test_it_is_written_at_most_every_five_seconds(tmp_path: Path):
    clock = Clock()
    kept = keeper(tmp_path, clock)
    clock.now += 4.9
    kept.step(after(1))
    assert read_status(tmp_path).training is None
    clock.now += 0.1
    kept.step(after(2))
    written = read_status(tmp_path)
    assert written.training == after(2)
    assert (written.pid, written.process) == (os.getpid(), process_mark())
    assert (written.began, written.written) == (1000.0, 1005.0)


def test_the_end_is_expected_at_the_pace_so_far(tmp_path: Path):
    clock = Clock()
    kept = keeper(tmp_path, clock)
    kept.step(after(1))
    clock.now = 1020.0  # two seconds a step
    kept.step(after(11))
    assert read_status(tmp_path).ends == 1020.0 + 2 * 89


def test_the_pace_is_measured_and_goes_on_where_it_stopped(tmp_path: Path):
    clock = Clock()
    kept = keeper(tmp_path, clock)
    for step, clock.now in ((1, 1002.0), (2, 1003.0), (6, 1010.0), (9, 1016.0)):
        kept.step(after(step))
    kept.end("stopped")
    assert [(pace.step, pace.seconds) for pace in read_status(tmp_path).paces] == [(1, 2.0), (6, 10.0), (9, 16.0)]
    clock.now = 5000.0  # an hour later, from the checkpoint of step 6
    again = keeper(tmp_path, clock)
    clock.now = 5003.0
    again.step(after(7))
    clock.now = 5007.0
    again.phase("evaluating")  # which writes the status, but measures nothing
    clock.now = 5009.0
    again.step(after(8))
    clock.now = 5010.0
    again.step(after(9))
    again.end("finished")
    assert [(pace.step, pace.seconds) for pace in read_status(tmp_path).paces] == [
        (1, 2.0), (6, 10.0), (7, 13.0), (8, 19.0), (9, 20.0),
    ]  # fmt: skip
    first = read_status(tmp_path).paces[0]
    assert first == Pace(
        step=1, seconds=2.0, images_per_second=8.0, data_wait_share=0.25, memory_bytes=first.memory_bytes,
        gpu_memory_bytes=first.gpu_memory_bytes,
    )  # fmt: skip
    assert 1 << 20 < (first.memory_bytes or 0) <= total_memory()


def test_the_number_of_measurements_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.records.status.write_text", lambda path, text: None)
    clock = Clock()
    kept = keeper(tmp_path, clock)
    for step in range(1, 2000):
        clock.now += 5
        kept.step(after(step, 5000))
    monkeypatch.undo()
    kept.write()
    paces = read_status(tmp_path).paces
    assert len(paces) <= MOST_PACES
    assert (paces[0].step, paces[-1].step) == (1, 1999)


def test_events_are_passed_on_and_the_phase_is_noted(tmp_path: Path):
    said: list[object] = []
    clock = Clock()
    told = Told(phase=said.append, progress=lambda *what: said.append(what), step=said.append)
    kept = StatusKeeper(tmp_path, told, "scoring", clock)
    kept.step(after(3))
    kept.phase("evaluating")
    kept.progress(2, 5)
    assert said == [after(3), "evaluating", ("evaluating", 2, 5)]
    kept.write()
    written = read_status(tmp_path)
    assert (written.state, written.phase, written.done, written.total) == ("scoring", "evaluating", 2, 5)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StoppedError("I130", "stopped by SIGINT after step 5", ""), "stopped by SIGINT after step 5 [I130]"),
        (KeyboardInterrupt(), "stopped by Ctrl-C"),
        (RuntimeError("boom"), "RuntimeError: boom"),
    ],
)
def test_however_a_block_ends_it_is_written(error: BaseException, outcome: str, tmp_path: Path):
    def work() -> None:
        with keeping_status(tmp_path, SILENT, "training"):
            assert read_status(tmp_path).goes_on(0.0)
            raise error

    with pytest.raises(type(error)):
        work()
    written = read_status(tmp_path)
    assert (written.state, written.outcome, written.ends) == ("over", outcome, None)
    assert not written.goes_on(0.0)


def test_a_block_that_ends_well_has_finished(tmp_path: Path):
    with keeping_status(tmp_path, SILENT, "training"):
        pass
    assert read_status(tmp_path).outcome == "finished"


def test_a_process_that_was_killed_is_recognised_and_one_elsewhere_by_its_silence():
    place = process_mark().partition("-")[0]
    dead = RunStatus(state="training", process=f"{place}-4194304-1", written=1000.0)
    assert dead.broke_off
    assert not dead.goes_on(1000.0)
    elsewhere = msgspec.structs.replace(dead, process="ffffffff-1-1")
    assert not elsewhere.broke_off
    assert elsewhere.goes_on(1599.0)
    assert not elsewhere.goes_on(1600.0)


def test_a_folder_that_has_gone_disturbs_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with keeping_status(tmp_path / "file", SILENT, "training") as observer:
        observer.step(after(1))
