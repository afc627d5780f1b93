"""Progress displays: bars on a terminal or in a notebook, occasional lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Any, Self

from rich.console import RenderableType
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pixelwise.errors import harmless
from pixelwise.machine.console import in_notebook
from pixelwise.observer import Observer, TrainingScore, TrainingStart, TrainingStatus
from pixelwise.reports.progress import Course, beginning, clock, facts, score_line, shows_blocks, step_line
from pixelwise.reports.terminals import Console
from pixelwise.reports.verbosity import Verbosity, verbosity

QUIET_SECONDS = 30.0
"""Interval between progress lines without a terminal."""
_NOTEBOOK_WIDTH = 120
"""Characters of text beside the bar of a notebook, which wraps longer lines."""
_ROOMY = 60
"""Narrower terminals show no number of steps beside the bar."""
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
    a training run improves. The options -q and -v of the command line leave warnings alone, or lines for all phases.

    Args:
        phases: Without bars, also write a line for each phase.
    """
    console = Console(stderr=True, highlight=False)
    if verbosity() is Verbosity.QUIET:
        return QuietDisplay(console)
    if verbosity() is Verbosity.VERBOSE:
        return PlainDisplay(console, phases=True)
    if in_notebook():
        return NotebookDisplay()
    return TerminalDisplay(console) if console.is_terminal else PlainDisplay(console, phases=phases)


class QuietDisplay(Display):
    """Warnings alone: the option -q.

    Args:
        console: Console to write to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, code: str, message: str) -> None:
        """Write the warning."""
        _print_warning(self._console, code, message)


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
        self._course = Course()

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

    def note(self, text: str) -> None:
        """Write the sentence."""
        self._print(text)

    def begin(self, start: TrainingStart) -> None:
        """Write what is about to be trained."""
        for line in beginning(start):
            self._print(line)

    def step(self, status: TrainingStatus) -> None:
        """Write a line for the first and the last step, and every 30 seconds."""
        first = self._course.begins_anew(status)
        eta = self._course.remaining(status)
        waited = time.monotonic() - self._last_line >= QUIET_SECONDS
        if first or waited or status.step == status.steps:
            self._last_line = time.monotonic()
            self._print(step_line(status) + ("" if eta is None else f"  eta {clock(eta)}"))

    def scored(self, score: TrainingScore) -> None:
        """Write every better score and the last one, with the course of the scores."""
        if self._course.scored(score):
            self._print(score_line(score, blocks=shows_blocks(self._console.encoding)))

    def warn(self, code: str, message: str) -> None:
        """Write the warning."""
        _print_warning(self._console, code, message)

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)


class _Bars(Progress):
    """Bars with a line of text below them."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the line."""
        yield from super().get_renderables()
        if self.below:
            yield Text(self.below, no_wrap=True, overflow="ellipsis")


class TerminalDisplay(Display):
    """A bar for the current phase, with a line of facts below it while training, and lines for the better scores.

    Args:
        console: Console to draw on; None: standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bars = _Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[amount]}"),
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
        self._course = Course()

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
        self._bars.below = ""
        if name != TRAINING:
            self._work = self._bars.add_task(name, total=None, amount="")

    def progress(self, done: int, total: int | None) -> None:
        """Advance the bar; it is removed when everything is done."""
        if self._work is not None:
            self._bars.update(self._work, completed=done, total=total, amount=_amount(done, total, self._unit))
            if total is not None and done >= total:
                self._end_work()

    def note(self, text: str) -> None:
        """Print the sentence above the bar."""
        self._console.print(text, soft_wrap=True, markup=False)

    def begin(self, start: TrainingStart) -> None:
        """Print what is about to be trained above the bar."""
        for line in beginning(start):
            self._console.print(line, soft_wrap=True, markup=False)

    def step(self, status: TrainingStatus) -> None:
        """Advance the training bar, and the line below it."""
        self._end_work()
        if self._course.begins_anew(status) and self._training is not None:
            self._bars.remove_task(self._training)
            self._training = None
        if self._training is None:
            self._training = self._bars.add_task(TRAINING, total=status.steps, amount="")
        blocks = shows_blocks(self._console.encoding)
        self._bars.below = facts(status, self._course.score, self._console.width, blocks=blocks)
        self._bars.update(
            self._training,
            completed=status.step,
            description=f"epoch {status.epoch}/{status.epochs}",
            amount=_amount(status.step, status.steps, "") if self._console.width >= _ROOMY else "",
            visible=True,
        )

    def scored(self, score: TrainingScore) -> None:
        """Print every better score and the last one above the bar, with the course of the scores."""
        if self._course.scored(score):
            line = score_line(score, blocks=shows_blocks(self._console.encoding))
            self._console.print(line, soft_wrap=True, markup=False)

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
        self._course = Course()

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

    def note(self, text: str) -> None:
        """Print the sentence without breaking the bars."""
        self._bars.write(harmless(text), file=self._file)

    def begin(self, start: TrainingStart) -> None:
        """Print what is about to be trained without breaking the bars."""
        for line in beginning(start):
            self._bars.write(harmless(line), file=self._file)

    def step(self, status: TrainingStatus) -> None:
        """Advance the training bar, which stays at the end of the training."""
        self._close()
        if self._course.begins_anew(status) and self._training is not None:
            self._training.close()
            self._training = None
        if self._training is None:
            self._training = self._bars(total=status.steps, initial=status.step - 1, unit="step", file=self._file)
        self._training.set_description(f"epoch {status.epoch}/{status.epochs}", refresh=False)
        self._training.set_postfix_str(facts(status, self._course.score, _NOTEBOOK_WIDTH), refresh=False)
        self._training.update(status.step - self._training.n)

    def scored(self, score: TrainingScore) -> None:
        """Print every better score and the last one without breaking the bars."""
        if self._course.scored(score):
            self._bars.write(harmless(score_line(score)), file=self._file)

    def warn(self, code: str, message: str) -> None:
        """Print the warning without breaking the bars."""
        self._bars.write(harmless(f"warning[{code}]: {message}"), file=self._file)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _amount(done: int, total: int | None, unit: str) -> str:
    """`120/233`, `1.2 GB/19.0 GB`; without a total, only the amount done."""
    shown = [str(count) if unit != "bytes" else decimal(count) for count in (done, total) if count is not None]
    return "/".join(shown)


def _print_warning(console: Console, code: str, message: str) -> None:
    console.print(f"warning[{code}]: {message}", style="yellow", markup=False, soft_wrap=True)
