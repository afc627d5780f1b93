"""`pixelwise check PATH`: is anything wrong with the data?"""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.datasets.auditing.options import CheckOptions


@takes(CheckOptions)
def run(
    path: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read the data, such as data.exif=ignore."),
    *,
    options: CheckOptions,
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Find out what is wrong with a data set.

    Looks at every image and mask and says what is wrong, in which file, and how to mend it. Nothing is written
    into the data folder. Besides, it measures class shares, colours, images that look alike in two splits, and the
    best mIoU that a network with coarse output can reach. Exit status 3 if there are errors to fix before training.
    """
    import pixelwise
    from pixelwise.reports.audit.terminal import print_check, print_written
    from pixelwise.reports.displays import display

    with display() as observer:
        checked = pixelwise.check(path, overrides or (), options, observer=observer)
    print_check(checked, as_json=json)
    print_written(checked, options.html, options.write)
    if checked.refused:
        raise typer.Exit(3)
