"""`status.json`: what a run is doing at the moment, rewritten every few seconds while it is trained and scored.

Everything that a run is judged by is in its log. This file holds what is of interest only meanwhile, or differs with
every repetition, such as times; older runs have none.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.machine.facts import gpu_memory_in_use
from pixelwise.machine.memory import memory_in_use
from pixelwise.machine.processes import host_name, is_running, process_mark
from pixelwise.observer import Observer, Relay, TrainingStatus
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text

STATUS = "status.json"
SECONDS = 5.0
"""Smallest time between two writes."""
MOST_PACES = 400
"""Largest number of measurements of the pace; when there are more, every second one goes."""
SILENT_SECONDS = 600.0
"""A run on another computer that wrote nothing for so long counts as over."""

State = Literal["stages", "training", "scoring", "over"]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Speed of a training after a step, and its memory.

    Attributes:
        step: Number of steps done.
        seconds: Seconds of training and evaluating so far, those of earlier parts of the run included.
        images_per_second: Training speed over recent steps, without evaluations; None until it is known.
        data_wait_share: Share of the time of these steps that was spent waiting for data, 0..1.
        memory_bytes: Main memory of the process, without its loader processes; None if it was not measured.
        gpu_memory_bytes: Memory that PyTorch held on the GPUs; None if it used none.
    """

    step: int
    seconds: float
    images_per_second: float | None = None
    data_wait_share: float = 0.0
    memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `status.json`. Every field has a default: a run without the file is over.

    Attributes:
        state: What the process does: it trains the stages before the run, or the run itself, or scores the result, or
            has ended.
        outcome: Why it ended, such as `finished` or the message of an error; empty before that.
        process: Mark of the process, as `machine.processes.process_mark` makes it.
        pid: Number of the process.
        host: Name of its computer.
        began: Unix time at which this part of the run began.
        written: Unix time of this file.
        ends: Expected Unix time of the end of the training; None if unknown.
        training: State after the latest step; None before the first one.
        phase: Name of the current phase.
        done: Number of finished items of the phase.
        total: Number of its items; None if unknown.
        paces: Measurements of the pace, in the order of the steps.
    """

    state: State = "over"
    outcome: str = ""
    process: str = ""
    pid: int = 0
    host: str = ""
    began: float = 0.0
    written: float = 0.0
    ends: float | None = None
    training: TrainingStatus | None = None
    phase: str = ""
    done: int = 0
    total: int | None = None
    paces: tuple[Pace, ...] = ()

    def goes_on(self, now: float) -> bool:
        """Whether the process is at work.

        Args:
            now: Unix time; decides only about processes on other computers.
        """
        running = is_running(self.process)
        if self.state == "over" or running is False:
            return False
        return running is True or now - self.written < SILENT_SECONDS

    @property
    def broke_off(self) -> bool:
        """Whether the process was killed, so that it could not say that it ended."""
        return self.state != "over" and is_running(self.process) is False


def read_status(run: Path) -> RunStatus:
    """The status of a run; the defaults if the file is missing or damaged, since nothing depends on it."""
    try:
        return read_json(run / STATUS, RunStatus)
    except PixelwiseError:
        return RunStatus()


@contextlib.contextmanager
def keeping_status(
    run: Path, observer: Observer, state: Literal["stages", "training", "scoring"]
) -> Iterator[Observer]:
    """Keep the status of a run up to date during the block, and write at its end how it ended.

    Args:
        run: The run folder.
        observer: Receives every event, unchanged.
        state: What is done in the block.

    Yields:
        The observer to pass on, unless the events are of other runs, as those of stages.
    """
    keeper = StatusKeeper(run, observer, state)
    keeper.write()
    try:
        yield keeper
    except BaseException as error:
        keeper.end(_reason(error))
        raise
    keeper.end("finished")


class StatusKeeper(Relay):
    """Writes what it observes to `status.json`, at most every `SECONDS`, and passes it on.

    Args:
        run: The run folder.
        observer: Receives every event, unchanged.
        state: What is done while it observes.
        clock: Gives the Unix time.
    """

    def __init__(
        self, run: Path, observer: Observer, state: State = "training", clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(observer)
        self._run, self._clock = run, clock
        before, now = read_status(run), clock()
        self._paces = list(before.paces)
        self._first: tuple[int, float] | None = None
        self._latest: tuple[TrainingStatus, float] | None = None
        self._measured = now
        self._offset = 0.0
        self._status = msgspec.structs.replace(
            before,
            state=state,
            outcome="",
            process=process_mark(),
            pid=os.getpid(),
            host=host_name(),
            began=now,
            ends=None,
            phase="",
            done=0,
            total=None,
        )

    def phase(self, name: str, unit: str = "") -> None:
        """Note the phase."""
        self._note(phase=name, done=0, total=None)
        super().phase(name, unit)

    def progress(self, done: int, total: int | None) -> None:
        """Note the progress of the phase."""
        self._note(done=done, total=total)
        super().progress(done, total)

    def step(self, status: TrainingStatus) -> None:
        """Note the state of the training, measure its pace, and end the phase before it."""
        now = self._clock()
        if self._first is None:
            self._first = status.step, now
            self._paces = [pace for pace in self._paces if pace.step < status.step]
            self._offset = self._paces[-1].seconds if self._paces else 0.0
            self._measure(status, now)
        step, seconds = self._first
        taken = status.step - step
        ends = now + (now - seconds) / taken * (status.steps - status.step) if taken else None
        self._latest = status, now
        if now - self._measured >= SECONDS:
            self._measure(status, now)
        self._note(training=status, ends=ends, phase="training", done=0, total=None)
        super().step(status)

    def end(self, outcome: str) -> None:
        """Write that the work has ended, and why."""
        if self._latest is not None:
            self._measure(*self._latest)
        self._status = msgspec.structs.replace(self._status, state="over", outcome=outcome, ends=None)
        self.write()

    def write(self) -> None:
        """Write the file. A full disk or a folder that has been removed is for the training itself to report."""
        self._status = msgspec.structs.replace(self._status, written=self._clock(), paces=tuple(self._paces))
        with contextlib.suppress(OSError, PixelwiseError):
            write_text(self._run / STATUS, json_text(self._status))

    def _note(self, **changes: object) -> None:
        self._status = msgspec.structs.replace(self._status, **changes)
        if self._clock() - self._status.written >= SECONDS:
            self.write()

    def _measure(self, status: TrainingStatus, now: float) -> None:
        self._measured = now
        if self._paces and self._paces[-1].step >= status.step:
            return
        pace = Pace(
            step=status.step,
            seconds=self._offset + now - self._status.began,
            images_per_second=status.images_per_second,
            data_wait_share=status.data_wait_share,
            memory_bytes=memory_in_use(),
            gpu_memory_bytes=gpu_memory_in_use(),
        )
        self._paces.append(pace)
        if len(self._paces) > MOST_PACES:
            self._paces = [*self._paces[:-1:2], self._paces[-1]]


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    if isinstance(error, PixelwiseError):
        return f"{error.message} [{error.code}]"
    return f"{type(error).__name__}: {error}"
