"""`pixelwise.watch`: the live page of a run that is trained by another process."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from pixelwise.checkpoints.hub.resolving import refuse_to_continue
from pixelwise.errors import RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.records.run_folder import LIVE
from pixelwise.reports.live.options import WatchOptions
from pixelwise.reports.live.page import SECONDS, is_live, write_live_pages
from pixelwise.reports.live.serving import serving
from pixelwise.storage import printable


def watch(
    run: str | os.PathLike[str], options: WatchOptions | None = None, *, observer: Observer = SILENT, **changes: Any
) -> Path:
    """Write RUN/live.html every ten seconds until the run ends, or until Ctrl-C.

    `train` and `resume` keep the page up to date themselves; this is for runs of earlier versions, for a page that was
    removed, and to show the page at an address (`port`). Nothing else in the folder is changed.

    Args:
        run: The run folder.
        options: Options; None for the defaults.
        observer: Receives a phase that names the page.
        changes: Single fields of `WatchOptions`, such as `once=True`.

    Returns:
        The page.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: R260, the port is out of range, or `once` is given too; others, the recipe of the run is not valid
            in this version.
        ResourceError: S601, the disk is full; S609, the port cannot be used.
    """
    wanted = chosen(WatchOptions, options, changes)
    if wanted.once and wanted.port is not None:
        raise RecipeError(
            "R260",
            "`once` writes the page and ends, but `port` shows it until Ctrl-C",
            "leave one of them out",
        )
    refuse_to_continue(run)
    folder = Path(run)
    write_live_pages(folder)
    if wanted.once:
        return folder / LIVE
    with contextlib.ExitStack() as cleanup:
        address = "" if wanted.port is None else cleanup.enter_context(serving(folder, wanted.port))
        observer.phase(f"watching {address or printable(folder / LIVE)} (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            _rewrite(folder, forever=bool(address))
    return folder / LIVE


def _rewrite(run: Path, *, forever: bool) -> None:
    """Write the page again and again.

    Args:
        run: The run folder.
        forever: Do not return when the run has ended: it may be resumed, and somebody may still look.
    """
    live = True  # between training and scoring a run is over for a moment, so it has to be over twice
    while True:
        before, live = live, is_live(run, time.time())
        write_live_pages(run)
        if not (before or live or forever):
            return
        time.sleep(SECONDS)
