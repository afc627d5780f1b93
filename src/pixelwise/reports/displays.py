"""Progress displays: bars on a terminal or in a notebook, occasional lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, Any, Self

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from pixelwise.errors import harmless
from pixelwise.observer import Observer, TrainingStart, TrainingStatus
from pixelwise.reports.terminals import Console

QUIET_SECONDS = 30.0
"""Interval between progress lines without a terminal."""
TRAINING = "training"
"""Name of the phase whose progress is reported in steps."""


class Display(Observer):
    """An observer that displays what it receives; use it as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def display(*, phases: bool = False) -> Display:
    """A display suited to standard error, as a context manager that returns the observer.

    It shows bars on a terminal and in a notebook. Elsewhere it writes a line every 30 seconds and whenever the score of
    a training run improves.

    Args:
        phases: Without bars, also write a line for each phase.
    """
    if _in_notebook():
        return NotebookDisplay()
    console = Console(stderr=True, highlight=False)
    return TerminalDisplay(console) if console.is_terminal else PlainDisplay(console, phases=phases)


class PlainDisplay(Display):
    """Lines for pipes and log files.

    Args:
        console: Console to write to; None: standard error.
        phases: Write a line for each phase.
    """

    def __init__(self, console: Console | None = None, *, phases: bool = False) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._phases = phases
        self._phase, self._unit = "", ""
        self._said: set[str] = set()
        self._last_line = time.monotonic()
        self._run = _Run()

    def phase(self, name: str, unit: str = "") -> None:
        """Write the name of the phase, once per name."""
        self._phase, self._unit, self._last_line = name, unit, time.monotonic()
        if self._phases and name not in self._said:
            self._said.add(name)
            self._print(f"{name} ...")

    def progress(self, done: int, total: int | None) -> None:
        """Write the progress every 30 seconds."""
        if time.monotonic() - self._last_line >= QUIET_SECONDS:
            self._last_line = time.monotonic()
            self._print(f"{self._phase} {_amount(done, total, self._unit)}")

    def begin(self, start: TrainingStart) -> None:
        """Write what is about to be trained."""
        for line in beginning(start):
            self._print(line)

    def step(self, status: TrainingStatus) -> None:
        """Write a line for the first and the last step, for every better score, and every 30 seconds."""
        first = self._run.begins_anew(status)
        eta = self._run.remaining(status)
        waited = time.monotonic() - self._last_line >= QUIET_SECONDS
        if self._run.is_better(status) or first or waited or status.step == status.steps:
            self._last_line = time.monotonic()
            self._print(_line(status) + ("" if eta is None else f"  eta {_duration(eta)}"))

    def warn(self, code: str, message: str) -> None:
        """Write the warning."""
        _print_warning(self._console, code, message)

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)


class TerminalDisplay(Display):
    """A bar for the current phase, and a line whenever the score of a training run improves.

    Args:
        console: Console to draw on; None: standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            # What the program prints stays in its file or pipe.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._work: TaskID | None = None
        self._training: TaskID | None = None
        self._unit = ""
        self._run = _Run()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def phase(self, name: str, unit: str = "") -> None:
        """Replace the current bar by one of unknown length."""
        self._end_work()
        self._unit = unit
        if self._training is not None:
            self._bars.update(self._training, visible=False)
        if name != TRAINING:
            self._work = self._bars.add_task(name, total=None, facts="")

    def progress(self, done: int, total: int | None) -> None:
        """Advance the bar; it is removed when everything is done."""
        if self._work is not None:
            self._bars.update(self._work, completed=done, total=total, facts=_amount(done, total, self._unit))
            if total is not None and done >= total:
                self._end_work()

    def begin(self, start: TrainingStart) -> None:
        """Print what is about to be trained above the bar."""
        for line in beginning(start):
            self._console.print(line, soft_wrap=True, markup=False)

    def step(self, status: TrainingStatus) -> None:
        """Advance the training bar."""
        self._end_work()
        if self._run.begins_anew(status) and self._training is not None:
            self._bars.remove_task(self._training)
            self._training = None
        if self._training is None:
            self._training = self._bars.add_task(TRAINING, total=status.steps, facts="")
        self._bars.update(
            self._training,
            completed=status.step,
            description=f"epoch {status.epoch}/{status.epochs}",
            facts=_facts(status),
            visible=True,
        )
        if self._run.is_better(status):
            self._console.print(_line(status), soft_wrap=True, markup=False)

    def warn(self, code: str, message: str) -> None:
        """Print the warning above the bar."""
        _print_warning(self._console, code, message)

    def _end_work(self) -> None:
        if self._work is not None:
            self._bars.remove_task(self._work)
            self._work = None


class NotebookDisplay(Display):
    """Bars drawn by tqdm, which are widgets in a notebook.

    Args:
        file: Stream to write to outside a notebook; None: standard error.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        from tqdm.auto import tqdm  # detects the notebook's widgets when it is imported

        self._bars: Any = tqdm
        self._file = file
        self._bar: Any = None
        self._training: Any = None
        self._run = _Run()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._training is not None:
            self._training.close()

    def phase(self, name: str, unit: str = "") -> None:
        """Replace the current bar by one of unknown length."""
        self._close()
        if name != TRAINING:
            scaled = unit == "bytes"
            self._bar = self._bars(
                desc=name, unit="B" if scaled else "it", unit_scale=scaled, leave=False, file=self._file
            )

    def progress(self, done: int, total: int | None) -> None:
        """Advance the bar; it is removed when everything is done."""
        if self._bar is None:
            return
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if total is not None and done >= total:
            self._close()

    def begin(self, start: TrainingStart) -> None:
        """Print what is about to be trained without breaking the bars."""
        for line in beginning(start):
            self._bars.write(harmless(line), file=self._file)

    def step(self, status: TrainingStatus) -> None:
        """Advance the training bar, which stays at the end of the training."""
        self._close()
        if self._run.begins_anew(status) and self._training is not None:
            self._training.close()
            self._training = None
        if self._training is None:
            self._training = self._bars(total=status.steps, initial=status.step - 1, unit="step", file=self._file)
        self._training.set_description(f"epoch {status.epoch}/{status.epochs}", refresh=False)
        self._training.set_postfix_str(_facts(status), refresh=False)
        self._training.update(status.step - self._training.n)
        if self._run.is_better(status):
            self._bars.write(harmless(_line(status)), file=self._file)

    def warn(self, code: str, message: str) -> None:
        """Print the warning without breaking the bars."""
        self._bars.write(harmless(f"warning[{code}]: {message}"), file=self._file)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Run:
    """Best score and pace of one training after another, such as the stages of a recipe."""

    def __init__(self) -> None:
        self._last: TrainingStatus | None = None
        self._best: float | None = None
        self._first = (0.0, 0)

    def begins_anew(self, status: TrainingStatus) -> bool:
        """Whether this is the first step seen of a training; called once per step, before the other methods."""
        last, self._last = self._last, status
        if last is not None and status.steps == last.steps and status.step >= last.step:
            return False
        self._best, self._first = None, (time.monotonic(), status.step)
        return True

    def is_better(self, status: TrainingStatus) -> bool:
        """Whether a new score is the best of the training so far."""
        if status.miou is None or status.best_miou == self._best:
            return False
        self._best = status.best_miou
        return True

    def remaining(self, status: TrainingStatus) -> float | None:
        """Seconds to go at the pace since the first step seen; None at that step."""
        seconds, step = self._first
        if status.step == step:
            return None
        return (time.monotonic() - seconds) / (status.step - step) * (status.steps - status.step)


def beginning(start: TrainingStart) -> list[str]:
    """The lines before a training: what is trained, on what, how long, and what was chosen for it."""
    expected = f"; about {_duration(start.seconds)} to train and score" if start.seconds is not None else ""
    lines = {
        "network": start.network,
        "weights": start.weights,
        "images": start.data,
        "steps": f"{start.batches}{expected}",
        "device": start.machine,
        "folder": start.folder,
        **({"watch": f"open {start.page} in a browser"} if start.page else {}),
    }
    width = max(map(len, lines))
    planned = [f"  {field} = {value}: {reason}" for field, value, reason in start.choices]
    return [
        *(f"{key:<{width}}  {text}" for key, text in lines.items()),
        *(["chosen for this data and machine:", *planned] if planned else []),
    ]


def _line(status: TrainingStatus) -> str:
    return f"epoch {status.epoch}/{status.epochs}  step {status.step}/{status.steps}  {_facts(status)}"


def _facts(status: TrainingStatus) -> str:
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


def _amount(done: int, total: int | None, unit: str) -> str:
    """`120/233`, `1.2 GB/19.0 GB`; without a total, only the amount done."""
    shown = [str(count) if unit != "bytes" else decimal(count) for count in (done, total) if count is not None]
    return "/".join(shown)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _print_warning(console: Console, code: str, message: str) -> None:
    console.print(f"warning[{code}]: {message}", style="yellow", markup=False, soft_wrap=True)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None
