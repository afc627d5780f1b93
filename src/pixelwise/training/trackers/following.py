"""Trackers at work beside the training: each has a thread that reads the log of the run as it grows.

The log on the disk is the queue between them, so a server that is slow or away costs the training neither time nor
memory, and what was not sent is still there.
"""

from __future__ import annotations

import queue
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pixelwise.errors import PixelwiseError
from pixelwise.observer import Observer
from pixelwise.records.tracking.marks import read_mark, without_secrets
from pixelwise.storage import printable
from pixelwise.training.trackers.feeding import Feeder
from pixelwise.training.trackers.tracker import chosen_trackers, make_tracker

SECONDS = 2.0
"""Smallest time between two parts that are sent."""
PATIENCE = 20.0
"""Seconds that the end of a training waits for its trackers."""


class Followers:
    """The trackers of a run that is being trained. They begin when the run has logged something.

    Loader processes are forked before the first step, and threads should not exist then.

    Args:
        run: The run folder.
        names: Names of the trackers.
        steps: Number of steps of the whole training; None for what the run's own files say.

    Attributes:
        places: Where the user finds the run, once the trackers have finished.
    """

    def __init__(self, run: Path, names: Sequence[str], *, steps: int | None = None) -> None:
        self._run = run
        self._troubles: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._waiting: list[_Follower] = []
        self._working: list[_Follower] = []
        self.places: list[str] = []
        for name in chosen_trackers(names):
            try:
                make_tracker(name)  # which imports what it needs
            except PixelwiseError as error:
                self._troubles.put(("W504", f"tracker '{name}' is not used: {error.message}; {error.help}"))
            except Exception as error:  # an error of third-party code must not end the training
                reason = without_secrets(f"{type(error).__name__}: {error}")
                self._troubles.put(("W504", f"tracker '{name}' is not used: {reason}"))
            else:
                self._waiting.append(_Follower(Feeder(name, run, steps=steps), self._stop, self._troubles))

    def wake(self) -> None:
        """Something was logged."""
        started, self._waiting = self._waiting, []
        for one in started:
            one.start()
            self._working.append(one)

    def finish(self, patience: float = PATIENCE) -> None:
        """Let the trackers send the rest, and wait for them, but not for long; nothing happens the second time.

        Args:
            patience: Seconds to wait; a tracker that needs longer is a warning (W530).
        """
        self.wake()
        self._stop.set()
        finishing, self._working = self._working, []
        until = time.monotonic() + patience
        for one in finishing:
            one.join(max(0.0, until - time.monotonic()))
            if one.place:
                self.places.append(one.place)
            if one.is_alive():
                self._troubles.put(
                    (
                        "W530",
                        f"tracker '{one.feeder.name}' has not received everything after {patience:g} s; {one.way_out}",
                    )
                )

    def troubles(self) -> Iterator[tuple[str, str]]:
        """Codes and messages of the warnings since the last call."""
        while not self._troubles.empty():
            yield self._troubles.get()


class _Follower(threading.Thread):
    """The thread of one tracker; ends with the process, whatever the tracker waits for."""

    def __init__(self, feeder: Feeder, stop: threading.Event, troubles: queue.SimpleQueue[tuple[str, str]]) -> None:
        super().__init__(name=f"tracker {feeder.name}", daemon=True)
        self.feeder = feeder
        self.place = ""
        self._stopping, self._troubles = stop, troubles

    @property
    def way_out(self) -> str:
        """The command that sends what is missing."""
        run = shlex.quote(printable(self.feeder.run))
        return f"send the rest with `pixelwise track {run} --to {self.feeder.name}`"

    def run(self) -> None:
        """Send what is new until the training is over."""
        try:
            with self.feeder.opened():
                self.place = self.feeder.tracker.where
                stopping = False
                while not stopping:
                    stopping = self._stopping.wait(SECONDS)
                    self.feeder.feed()
                self.feeder.conclude(over=True)
        except PixelwiseError as error:
            self._give_up(error.message)
        except (Exception, SystemExit) as error:  # an error of third-party code must not end the training
            self._give_up(f"{type(error).__name__}: {error}")

    def _give_up(self, reason: str) -> None:
        reason = without_secrets(" ".join(reason.split()))
        name = self.feeder.name
        self._troubles.put(("W504", f"tracker '{name}' failed and is no longer used: {reason}; {self.way_out}"))


def send_the_rest(run: Path, names: Sequence[str], observer: Observer) -> None:
    """Send what a run has got since its training ended: its scores and its report.

    Trackers that have failed are not tried again.

    Args:
        run: The run folder.
        names: Names of the trackers that followed the training.
        observer: Receives where the run is to be found, and warnings.
    """
    chosen = [name for name in chosen_trackers(names) if not _is_given_up(run, name)]
    if not chosen:
        return
    followers = Followers(run, chosen)
    followers.finish()
    for code, message in followers.troubles():
        observer.warn(code, message)
    for where in followers.places:
        observer.note(where)


def _is_given_up(run: Path, name: str) -> bool:
    try:
        return bool(read_mark(run, name).trouble)
    except PixelwiseError:
        return True
