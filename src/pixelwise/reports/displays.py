"""What a person sees while a run works: one bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from pixelwise.training.loop import Status
from pixelwise.training.runs import RunObserver

QUIET_SECONDS = 30.0
"""Without a terminal, a line is written this often."""


class TrainingDisplay:
    """Progress of a run; use it in a `with` block and hand on `observer`.

    Args:
        console: Where to; None: standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._interactive = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()
        self._last_line = -QUIET_SECONDS
        self._best: float | None = None
        self._first: tuple[float, int] | None = None

    @property
    def observer(self) -> RunObserver:
        """The callables to hand to `train` or `resume`."""
        return RunObserver(phase=self._phase, status=self._status, warn=self._warn)

    def __enter__(self) -> TrainingDisplay:
        if self._interactive:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._interactive:
            self._progress.stop()

    def _phase(self, what: str, done: int, total: int) -> None:
        if self._interactive:
            task = self._task(what, total or None)
            self._progress.update(task, completed=done, total=total or None, visible=not total or done < total)
        elif what not in self._said and what != "evaluating":
            self._said.add(what)
            self._console.print(f"{what} ...")

    def _status(self, status: Status) -> None:
        if self._interactive:
            for name, task in self._tasks.items():
                if name != "training":
                    self._progress.update(task, visible=False)
            task = self._task("training", status.steps)
            self._progress.update(
                task,
                completed=status.step,
                description=f"epoch {status.epoch}/{status.epochs}",
                facts=_facts(status),
            )
        if status.miou is not None and status.best_miou != self._best:
            self._best = status.best_miou
            self._line(status)
        elif not self._interactive and (
            time.monotonic() - self._last_line >= QUIET_SECONDS or status.step == status.steps
        ):
            self._line(status)

    def _line(self, status: Status) -> None:
        self._last_line = time.monotonic()
        remaining = self._remaining(status)
        eta = "" if self._interactive or remaining is None else f"  eta {_duration(remaining)}"
        self._console.print(
            f"epoch {status.epoch}/{status.epochs}  step {status.step}/{status.steps}  {_facts(status)}{eta}",
            soft_wrap=True,
        )

    def _remaining(self, status: Status) -> float | None:
        """Seconds to go, from the pace since the first step seen; None while there is no pace."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, status.step)
            return None
        seconds, step = self._first
        return (now - seconds) / max(1, status.step - step) * (status.steps - status.step)

    def _warn(self, code: str, message: str) -> None:
        self._console.print(f"warning[{code}]: {message}", style="yellow", markup=False, soft_wrap=True)

    def _task(self, name: str, total: int | None) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, facts="")
        return self._tasks[name]


def _facts(status: Status) -> str:
    parts = []
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    parts.append(f"lr {status.lr:.2g}")
    if status.images_per_second:
        parts.append(f"{status.images_per_second:.1f} img/s")
        parts.append(f"data-wait {100 * status.data_wait_share:.0f} %")
    if status.miou is not None:
        best = " (best)" if status.miou == status.best_miou else f" (best {100 * (status.best_miou or 0):.2f})"
        parts.append(f"mIoU {100 * status.miou:.2f}{best}")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def warn(code: str, message: str) -> None:
    """Say on standard error that something is not as it should be."""
    sys.stderr.write(f"warning[{code}]: {message}\n")


class BytesDisplay:
    """A bar for bytes that are downloaded or unpacked; silent when standard error is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> BytesDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` (0: unknown) are done."""
        self._progress.update(self._task, description=what, completed=done, total=total or None)


class CountDisplay:
    """A bar for a known number of images; silent when standard error is no terminal.

    Args:
        what: What is being done.
    """

    def __init__(self, what: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(what, total=None)

    def __enter__(self) -> CountDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        self._progress.update(self._task, completed=done, total=total)
