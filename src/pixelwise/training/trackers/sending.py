"""`pixelwise.track`: send runs to trackers, later or while they are trained by another process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.hub.resolving import refuse_to_continue
from pixelwise.errors import PixelwiseError, RecipeError, ResourceError
from pixelwise.machine.files import is_disk_full
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.records.run_folder import read_recipe
from pixelwise.records.status import read_status
from pixelwise.records.tracking.marks import without_secrets
from pixelwise.storage import printable
from pixelwise.storage.atomic import disk_full
from pixelwise.storage.stores.addresses import require_local
from pixelwise.training.trackers.feeding import Feeder
from pixelwise.training.trackers.following import SECONDS
from pixelwise.training.trackers.options import TrackOptions
from pixelwise.training.trackers.tracker import chosen_trackers, require_trackers


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was sent to a tracker.

    Attributes:
        run: The run folder.
        tracker: Name of the tracker.
        records: Number of records of the log that the tracker had not received before.
        tracked: Name under which the tracker knows the run; empty if it has none.
        where: Where the run is to be found: a command or an address.
    """

    run: Path
    tracker: str
    records: int
    tracked: str
    where: str


def track(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    options: TrackOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> list[Sent]:
    """Send runs to trackers: their recipes, curves, scores, a few pictures, and their reports.

    A tracker receives what it has not received yet, so a run that it followed is completed, and a run that was resumed
    goes on as the same one. What was sent is noted in RUN/trackers; nothing else in the folder changes, except what a
    tracker writes into a folder of its own.

    Args:
        runs: A run folder, or several.
        options: The trackers, and how; None if `changes` name them in `to`.
        observer: Receives a phase for each run.
        changes: Single fields of `TrackOptions`, such as `to="mlflow"`.

    Returns:
        For each run and tracker, in this order, what was sent.

    Raises:
        CheckpointError: K420, a folder is not a run; K423, a file of a run is damaged; K497, an address of the hub
            has no log.
        RecipeError: R260, no tracker is named; R270, there is no such tracker; R272, its package is not installed.
        ResourceError: T510, the tracker cannot be reached or fails; S601, the disk is full.
        RunLockedError: L701, another process, perhaps the training, sends the run to the same tracker.
    """
    wanted = chosen(TrackOptions, options, changes)
    folders = [Path(runs)] if isinstance(runs, (str, os.PathLike)) else [Path(run) for run in runs]
    names = chosen_trackers(wanted.to)
    if not names or not folders:
        missing = "no run is named" if names else "`to` names no tracker"
        raise RecipeError(
            "R260", missing, "name runs and trackers, as in `pixelwise track runs/first --to tensorboard`"
        )
    require_trackers(names)
    for folder in folders:
        refuse_to_continue(folder)
        require_local(folder)
        read_recipe(folder)
    feeders = [Feeder(name, folder, new=wanted.new) for folder in folders for name in names]
    if not wanted.follow:
        return [_send([feeder], observer, follow=False)[0] for feeder in feeders]
    return _send(feeders, observer, follow=True)


def _send(feeders: Sequence[Feeder], observer: Observer, *, follow: bool) -> list[Sent]:
    """Send with several feeders at once, once or until nobody trains their runs any more."""
    with contextlib.ExitStack() as opened:
        for feeder in feeders:
            observer.phase(f"sending {printable(feeder.run)} to {feeder.name}")
            opened.enter_context(_explained(feeder))
            opened.enter_context(feeder.opened())
        going_on = True
        while going_on:
            # Between training and scoring a run is over for a moment: what is missing then, `track` can send again.
            going_on = follow and any(_is_live(feeder.run) for feeder in feeders)
            for feeder in feeders:
                with _explained(feeder):
                    feeder.feed()
            if going_on:
                time.sleep(SECONDS)
        for feeder in feeders:
            with _explained(feeder):
                feeder.conclude(over=not _is_live(feeder.run))
    return [
        Sent(run=one.run, tracker=one.name, records=one.count, tracked=one.tracker.tracked, where=one.tracker.where)
        for one in feeders
    ]


def _is_live(run: Path) -> bool:
    return read_status(run).goes_on(time.time())


@contextlib.contextmanager
def _explained(feeder: Feeder) -> Iterator[None]:
    """Context in which an error of a tracker says what it is about, and that nothing is lost."""
    try:
        yield
    except PixelwiseError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError) and is_disk_full(error):
            raise disk_full(feeder.run) from error
        reason = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
        raise ResourceError(
            "T510",
            f"{printable(feeder.run)}: the tracker '{feeder.name}' failed: {reason}",
            "run the same command again when the cause is gone: it sends what is missing; with --new, to a new "
            "tracked run",
        ) from error
