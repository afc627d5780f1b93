"""`pixelwise check PATH`: find problems in a data set."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.datasets.auditing.options import CheckOptions

EXAMPLES = (
    "pixelwise check photos",
    "pixelwise check photos --html photos.html  # a page with overlays",
    "pixelwise check photos --shard 3/8  # one of the jobs 0 to 7 of an array; the last check is one without it",
    "pixelwise check s3://bucket/photos --engine ray --address auto  # by the workers of a cluster",
    'pixelwise check photos "label_map={0 = 0, 255 = 1}" --write mine.toml  # the reading as a recipe',
)
"""Shown at the end of the help."""


@takes(CheckOptions)
def run(
    path: Path = typer.Argument(..., metavar="DATA", help="Folder of the data set."),
    overrides: list[str] = typer.Argument(
        None,
        metavar="[FIELD=VALUE]...",
        autocompletion=completion.settings,
        help="Settings for reading the data, such as data.exif=ignore.",
    ),
    *,
    options: CheckOptions,
    shard: str = typer.Option(
        None,
        metavar="I/N",
        help="Examine one of N parts of the images, numbered from 0, for the jobs of an array; a last check without "
        "this option finds what all of them examined.",
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Also print what was measured, as the page shows it."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Find problems in a data set.

    Reads every image and mask and reports each problem with the file and how to fix it. Nothing is written into the
    data folder. Also measures class shares, colours, near-duplicate images across splits, and an upper bound on the
    mIoU for each output stride. The exit status is 3 if there are errors to fix before training; with --shard, which
    concludes nothing, it is 0.
    """
    import pixelwise
    from pixelwise.reports.audit.terminal import print_check, print_part, print_written
    from pixelwise.reports.displays import display

    if shard is not None:
        with display() as observer:
            part = pixelwise.check_part(path, shard, overrides or (), options, observer=observer)
        print_part(part, as_json=json)
        return
    with display() as observer:
        checked = pixelwise.check(path, overrides or (), options, observer=observer)
    print_check(checked, as_json=json, verbose=verbose)
    print_written(checked, options.html, options.write)
    if checked.refused:
        raise typer.Exit(3)
