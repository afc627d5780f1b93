"""`pixelwise predict RUN PATH...`: write masks and overlays for images."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.prediction.options import PredictOptions


@takes(PredictOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    paths: list[str] = typer.Argument(..., help="Images, folders or patterns such as 'photos/*.jpg'."),
    output: Path = typer.Option(Path("predictions"), "--output", help="Folder for masks/ and overlays/."),
    *,
    options: PredictOptions,
    json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Write masks and overlays for images.

    Masks are indexed PNG files (pixel value = class id) of the same size as the image. Images are resized to the size
    at which the network was evaluated; very large ones are processed in windows. Files with problems are skipped and
    listed in problems.jsonl; the exit status is then 3.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.predictions import show_summary

    with display() as observer:
        summary = pixelwise.predict(run, paths, output, options, observer=observer)
    show_summary(summary, output, as_json=json)
    if summary.failed:
        raise typer.Exit(3)
