"""`pixelwise predict RUN PATH...`: write masks and overlays for images."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_predicting
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import IMAGE_WORDS, images
from pixelwise.prediction.options import PredictOptions
from pixelwise.storage.stores.addresses import place_of

EXAMPLES = (
    "pixelwise predict runs/unet-1 photos -o masks",
    'pixelwise predict runs/unet-1 a.jpg "more/*.png" --alpha 0.3',
    "pixelwise predict runs/unet-1 slides --window 1024x1024  # very large images",
    "pixelwise predict runs/unet-1 photos -o masks --shard 3/8  # one of the jobs 0 to 7 of an array",
    "pixelwise predict runs/unet-1 s3://bucket/photos -o s3://bucket/masks --engine ray  # data in shards, a cluster",
)
"""Shown at the end of the help."""


@takes(PredictOptions)
def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder, hub://OWNER/NAME, or an exported model.onnx."),
    words: list[str] = typer.Argument(
        ...,
        metavar="IMAGES... [FIELD=VALUE]...",
        autocompletion=completion.image_words,
        help=IMAGE_WORDS,
    ),
    output: Path = typer.Option(
        Path("predictions"),
        "--output",
        "-o",
        metavar="FOLDER",
        help="Folder for masks/ and overlays/; or an address, such as s3://bucket/masks, for tars of them.",
    ),
    *,
    options: PredictOptions,
    json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Write masks and overlays for images.

    Masks are indexed PNG files (pixel value = class id) of the same size as the image, GeoTIFF files for GeoTIFF
    images. Images are resized to the size
    at which the network was evaluated; very large ones are processed in windows, and TIFF images that do not fit into
    memory in parts. Files with problems are skipped and listed in problems.jsonl; the exit status is then 3.
    The same command again goes on where it was stopped.
    """
    asked = images(words)
    if not asked.names:
        raise typer.BadParameter("there are settings but no image; give at least one file, folder or pattern")
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_predicting(run, asked.names, output, options)
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.predictions import show_summary

    with display() as observer:
        summary = pixelwise.predict(run, asked.names, output, options, observer=observer)
    show_summary(summary, place_of(output), options.share, tars=options.writes_tars(output), as_json=json)
    if summary.failed:
        raise typer.Exit(3)
