"""`pixelwise ui [RUNS...] [--data FOLDER]`: runs and data in a browser of this computer."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.line.options import takes
from pixelwise.pages.options import UiOptions

EXAMPLES = (
    "pixelwise ui  # the runs in the folder runs",
    "pixelwise ui runs photos  # also pictures of images of photos that no run has kept",
    "pixelwise ui --data photos  # the images of photos with their labels, and what is wrong with them",
    "pixelwise ui --data photos --edit  # the same, and masks can be corrected",
    "pixelwise ui runs --port 8000 --no-browser  # then: ssh -L 8000:localhost:8000 machine",
)
"""Shown at the end of the help."""


@takes(UiOptions)
def run(
    folders: list[Path] = typer.Argument(
        None, metavar="[RUNS]...", help="Folders of runs, and of data that may be shown. Left out, the folder runs."
    ),
    *,
    options: UiOptions,
) -> None:
    """Show runs and data in a browser: a leaderboard, the errors of each run, two runs compared; images with labels.

    Needs pixelwise[ui]. The pages are at an address of this computer, which is printed and contains a token. Nothing is
    loaded from elsewhere, nothing outside the folders is shown, and nothing is written but the masks of folders given
    with --data, if --edit is given too. Ctrl-C ends it.
    """
    import pixelwise
    from pixelwise.reports.displays import display

    with display(phases=True) as observer:
        pixelwise.ui(folders or None, options, observer=observer)
