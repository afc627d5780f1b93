"""`pixelwise watch RUN`: the live page of a run."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.line.options import takes
from pixelwise.reports.live.options import WatchOptions

EXAMPLES = (
    "pixelwise watch runs/unet-1  # rewrites runs/unet-1/live.html while it trains",
    "pixelwise watch runs/unet-1 --port 8000  # then: ssh -L 8000:localhost:8000 machine",
)
"""Shown at the end of the help."""


@takes(WatchOptions)
def run(run: Path = typer.Argument(..., metavar="RUN", help="Run folder."), *, options: WatchOptions) -> None:
    """Write RUN/live.html every ten seconds until the run ends: curves, predictions, the first batch.

    `train` and `resume` keep the page up to date themselves; this verb is for runs of earlier versions, and with
    --port for looking at a run on another computer. Ctrl-C ends it; the run goes on.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.standard_output import write_path

    with display(phases=True) as observer:
        page = pixelwise.watch(run, options, observer=observer)
    write_path(page)
