"""`pixelwise compare RUN RUN ...`: which run is better, and whether the images and seeds say so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.cli.line.options import takes
from pixelwise.evaluation.comparison.options import CompareOptions

EXAMPLES = (
    "pixelwise compare runs/unet-1 runs/unet-2",
    "pixelwise compare runs/old-* runs/new-* --split test  # several seeds",
    "pixelwise compare runs/seeds -o seeds.html  # runs of train --seeds",
    "pixelwise compare runs/cv-a runs/cv-b  # cross-validations, by all images",
)
"""Shown at the end of the help."""


@takes(CompareOptions)
def run(
    runs: list[Path] = typer.Argument(
        ...,
        metavar="RUN...",
        help="Run folders, exported artefacts, or folders of `pixelwise train --seeds` or `pixelwise crossval`.",
    ),
    output: Path = typer.Option(None, "--output", "-o", metavar="FILE", help="File to write instead of printing."),
    *,
    options: CompareOptions,
    json: bool = typer.Option(False, "--json", help="Same as --format json."),
) -> None:
    """Compare runs by the same images: which is better, and whether the images and seeds say so.

    Runs of one recipe that differ only in their seed are one side. Differences of mIoU and of each class have 95 %
    intervals over images (paired bootstrap) and seeds; "better" is said only of what is separated from zero. Nothing is
    predicted: the runs have to be scored on the same split under the same protocol.
    """
    import pixelwise
    from pixelwise.reports.comparison.rendering import show_comparison

    if json:
        options = msgspec.structs.replace(options, format="json")
    found = pixelwise.compare(runs, output, options)
    show_comparison(found, output, options.format)
