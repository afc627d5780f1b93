"""`pixelwise predict RUN PATH...`: write masks and overlays for images."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.cli.options import is_override, takes
from pixelwise.prediction.options import PredictOptions


@takes(PredictOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    paths: list[str] = typer.Argument(
        ...,
        help="Images, folders or patterns such as 'photos/*.jpg'; also settings for reading images that differ from "
        "those of the training, such as data.input_range=[0,65535].",
    ),
    output: Path = typer.Option(Path("predictions"), "--output", help="Folder for masks/ and overlays/."),
    *,
    options: PredictOptions,
    json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Write masks and overlays for images.

    Masks are indexed PNG files (pixel value = class id) of the same size as the image, GeoTIFF files for GeoTIFF
    images. Images are resized to the size
    at which the network was evaluated; very large ones are processed in windows. Files with problems are skipped and
    listed in problems.jsonl; the exit status is then 3.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.predictions import show_summary

    overrides = [word for word in paths if is_override(word)]
    images = [word for word in paths if word not in overrides]
    if not images:
        raise typer.BadParameter("there are settings but no image; give at least one file, folder or pattern")
    options = msgspec.structs.replace(options, overrides=tuple(overrides))
    with display() as observer:
        summary = pixelwise.predict(run, images, output, options, observer=observer)
    show_summary(summary, output, as_json=json)
    if summary.failed:
        raise typer.Exit(3)
