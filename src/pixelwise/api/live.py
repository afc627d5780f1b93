"""RUN/live.html, kept up to date by the process that trains."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pixelwise.observer import Observer, Relay, TrainingStart, TrainingStatus
from pixelwise.records.run_folder import LIVE, is_run
from pixelwise.reports.live.page import SECONDS, write_live_pages
from pixelwise.storage import printable

LARGEST_SHARE = 0.02
"""Share of the time that writing the page may take."""


@contextlib.contextmanager
def keeping_page(observer: Observer, run: str | os.PathLike[str] | None = None) -> Iterator[Observer]:
    """Keep the live page of a run up to date during the block, and write it once more at its end, however it ends.

    If nothing happens in the block, nothing is written.

    Args:
        observer: Receives every event, unchanged but for the name of the page in `begin`.
        run: The run folder; None if it is not chosen yet, and then that of the first training that begins.

    Yields:
        The observer to pass on.
    """
    keeper = PageKeeper(observer, None if run is None else Path(run))
    try:
        yield keeper
    finally:
        keeper.end()


class PageKeeper(Relay):
    """Writes the live page every few seconds, between the events that it passes on.

    Args:
        observer: Receives every event.
        run: The run folder; None for that of the first training that begins.
        clock: Gives the time in seconds.
    """

    def __init__(self, observer: Observer, run: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(observer)
        self._run, self._clock = run, clock
        self._due = 0.0
        self._failed = False

    def begin(self, start: TrainingStart) -> None:
        """Name the page."""
        if self._run is None:
            self._run = Path(start.folder)
        super().begin(msgspec.structs.replace(start, page=printable(Path(start.folder) / LIVE)))

    def phase(self, name: str, unit: str = "") -> None:
        """Write the page if it is due."""
        super().phase(name, unit)
        self._refresh()

    def progress(self, done: int, total: int | None) -> None:
        """Write the page if it is due."""
        super().progress(done, total)
        self._refresh()

    def step(self, status: TrainingStatus) -> None:
        """Write the page if it is due."""
        super().step(status)
        self._refresh()

    def end(self) -> None:
        """Write the page for the last time; it then no longer reloads itself."""
        if self._run is not None and self._due:  # otherwise nothing was done
            self._write(self._run, going_on=False)

    def _refresh(self) -> None:
        now = self._clock()
        if now < self._due or self._run is None or not is_run(self._run):
            return
        self._write(self._run, going_on=True)
        took = self._clock() - now
        self._due = now + took + max(SECONDS, took / LARGEST_SHARE)

    def _write(self, run: Path, *, going_on: bool) -> None:
        try:
            write_live_pages(run, going_on=going_on)
        except Exception as error:  # a page to look at must not end the training
            if not self._failed:
                self._observer.warn("W505", f"no live page: {type(error).__name__}: {error}")
            self._failed = True
