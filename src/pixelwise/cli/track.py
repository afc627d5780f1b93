"""`pixelwise track RUN --to mlflow`: send runs to trackers."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.training.trackers.options import TrackOptions

EXAMPLES = (
    "pixelwise track runs/unet-1 --to tensorboard",
    "pixelwise track runs/unet-1 runs/unet-2 --to mlflow",
    "pixelwise track runs/unet-1 --to wandb --follow  # while it is trained",
)
"""Shown at the end of the help."""


@takes(TrackOptions)
def run(
    runs: list[Path] = typer.Argument(
        ..., metavar="RUN...", autocompletion=completion.folders, help="Run folders, one or several."
    ),
    *,
    options: TrackOptions,
    json: bool = typer.Option(False, "--json", help="Print what was sent as JSON."),
) -> None:
    """Send runs to trackers: recipe, curves, scores, a few pictures, and the report.

    A tracker gets what it has not received yet: all of an old run, or the rest of one that it followed with
    `train --track`. The settings of a tracker are its own, such as MLFLOW_TRACKING_URI or WANDB_API_KEY.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.tracked import print_sent

    with display() as observer:
        sent = pixelwise.track(runs, options, observer=observer)
    print_sent(sent, as_json=json)
