"""`pixelwise predict RUN PATH...`: masks and overlays for images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer


def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    paths: list[str] = typer.Argument(..., help="Images, folders or patterns such as 'photos/*.jpg'."),
    output: Path = typer.Option(Path("predictions"), "--output", help="Folder for masks/ and overlays/."),
    overlay: bool = typer.Option(True, help="Write overlays beside the masks."),
    alpha: float = typer.Option(0.5, "--alpha", min=0.0, max=1.0, help="Opacity of the overlay."),
    palette: Literal["official", "cvd"] = typer.Option(
        "official", "--palette", help="The data set's colours, or ones for colour-blind eyes."
    ),
    mask_format: Literal["ids", "cityscapes", "voc", "ade20k"] = typer.Option(
        "ids", "--format", help="What masks hold: class ids, or the values that a benchmark's server reads."
    ),
    window: str = typer.Option(
        None, "--window", help="Look through overlapping windows of WIDTHxHEIGHT, for example 1024x1024."
    ),
    strict: bool = typer.Option(False, "--strict", help="Stop at the first bad file instead of skipping it."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda."),
    json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Write masks and overlays for images.

    Masks are indexed PNG files (pixel value = class id) of the image's own size. Images are seen at the size at which
    the network was evaluated; very large ones through windows. Bad files are skipped and listed
    in problems.jsonl; the exit status is 3 when there was one.
    """
    from pixelwise.recipes.protocols import parse_size
    from pixelwise.reports.summary import predict_and_show

    failed = predict_and_show(
        run,
        paths,
        output,
        overlay=overlay,
        alpha=alpha,
        palette=palette,
        mask_format=mask_format,
        window=parse_size(window) if window is not None else None,
        strict=strict,
        device=device,
        as_json=json,
    )
    if failed:
        raise typer.Exit(3)
