"""`pixelwise prelabel RUN IMAGES...`: write masks for correction, and the order in which correcting them pays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_prelabelling
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import IMAGE_WORDS, images
from pixelwise.prediction.labelling.options import PrelabelOptions

EXAMPLES = (
    "pixelwise prelabel runs/unet-1 photos -o prelabels",
    "pixelwise prelabel runs/unet-1 photos -o prelabels --sure 0.8  # leave fewer pixels open",
)
"""Shown at the end of the help."""


@takes(PrelabelOptions)
def run(
    run: Path = typer.Argument(
        ..., metavar="RUN", help="Run folder, hub://OWNER/NAME, or model.onnx with probabilities."
    ),
    words: list[str] = typer.Argument(
        ...,
        metavar="IMAGES... [FIELD=VALUE]...",
        autocompletion=completion.image_words,
        help=IMAGE_WORDS,
    ),
    output: Path = typer.Option(
        Path("prelabels"), "--output", "-o", metavar="FOLDER", help="Folder for the data set of images and masks."
    ),
    *,
    options: PrelabelOptions,
    json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Write masks of unlabelled images for correction by hand.

    Pixels of which the network is not sure are left open: training and scores ignore them until somebody labels them.
    The output is a data set, with copies of the images and a description of the masks' values; queue.json lists the
    images in the order in which correcting them pays. The same command again goes on where it was stopped, and leaves
    masks alone that were changed meanwhile. Files with problems are skipped and listed in problems.jsonl; the exit
    status is then 3.
    """
    asked = images(words)
    if not asked.names:
        raise typer.BadParameter("there are settings but no image; give at least one file, folder or pattern")
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_prelabelling(run, asked.names)
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.predictions import show_prelabels

    with display() as observer:
        summary = pixelwise.prelabel(run, asked.names, output, options, observer=observer)
    show_prelabels(summary, output, options.sure, as_json=json)
    if summary.predicted.failed:
        raise typer.Exit(3)
