"""Getting a public data set, on a terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from pixelwise.datasets.preparing import RECIPES, State, prepare, recipe_of
from pixelwise.errors import DataError
from pixelwise.storage import printable


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


def show_known() -> None:
    """A table of the data sets that can be prepared."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "what it is", "terms"):
        table.add_column(heading, overflow="fold")
    for name, recipe in RECIPES.items():
        table.add_row(name, recipe.summary, recipe.terms)
    Console().print(table)


def prepare_and_show(name: str, root: Path, *, download: bool) -> None:
    """Prepare a data set and say what is there.

    Raises:
        DataError: D253, something is missing at the end; those of `datasets.preparing.prepare`.
        RecipeError: R203, no such data set.
    """
    recipe = recipe_of(name)
    console = Console()
    console.print(f"{name}: {recipe.summary}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"terms: {recipe.terms}", markup=False, highlight=False, soft_wrap=True)
    with BytesDisplay() as display:
        state = prepare(
            name,
            root,
            fetch=download,
            tell=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            progress=display,
        )
    _show_state(state, console)
    if not state.complete:
        lacking = ", ".join(
            f"{pattern} ({found} of {number})" for pattern, (found, number) in state.counts.items() if found < number
        )
        raise DataError(
            "D253",
            f"{printable(root)}: {name} is not complete: {lacking}",
            "put the missing files there, or remove the folder that is incomplete and run this again",
        )
    command = f"pixelwise check {shlex.quote(printable(root))}"
    console.print(f"complete; next: {command}", markup=False, highlight=False, soft_wrap=True)


def _show_state(state: State, console: Console) -> None:
    for pattern, (found, number) in state.counts.items():
        sign = "ok" if found >= number else "--"
        console.print(f"{sign} {pattern}: {found} of {number}", markup=False, highlight=False, soft_wrap=True)
