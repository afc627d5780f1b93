"""`pixelwise quantize RUN --target onnx --output DIR`: a network in int8, calibrated on its training images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer


def run(
    source: str = typer.Argument(..., metavar="RUN|RECIPE", help="Run folder; with --weights none a recipe."),
    target: Literal["onnx", "openvino"] = typer.Option("onnx", "--target", help="The format."),
    output: Path = typer.Option(None, "--output", help="Folder for model.onnx (or .xml, .bin) and model.toml."),
    sensitivity: bool = typer.Option(False, "--sensitivity", help="List what each layer costs; needs no --output."),
    max_miou_drop: float = typer.Option(
        None, "--max-miou-drop", help="Points of mIoU; the layers that cost most stay in float until it holds."
    ),
    calibration_images: int = typer.Option(128, "--calibration-images", help="At most so many training images."),
    least_equal: float = typer.Option(
        None, "--least-equal", help="Share of pixels with the same class, 0 to 1; default 0.95, or --max-miou-drop."
    ),
    argmax: bool = typer.Option(False, "--argmax", help="Class ids (uint8) come out instead of logits."),
    uint8_input: bool = typer.Option(
        False, "--uint8-input", help="RGB bytes (N, H, W, 3) go in; they are normalised inside."
    ),
    output_stride: str = typer.Option(
        "1", "--output-stride", help="Result of the image's size divided by it, or 'head': nothing is enlarged."
    ),
    dynamic: bool = typer.Option(False, "--dynamic", help="Any number of images of any size."),
    size: str = typer.Option(None, "--size", help="WIDTHxHEIGHT of the one size; default: the recipe's, or 512x512."),
    weights: str = typer.Option(None, "--weights", help="none: random weights; needs --data or --images."),
    classes: int = typer.Option(None, "--classes", min=1, help="Outputs where a recipe leaves them to the data."),
    split: str = typer.Option(None, "--split", help="Verify on this split of the data, with the mIoU of both."),
    data: Path = typer.Option(None, "--data", help="Folder of that data; default: the one of the run."),
    images: Path = typer.Option(None, "--images", help="Calibrate and verify on the images in this folder."),
    threads: int = typer.Option(None, "--threads", min=1, help="Of the runtime while the artefact is verified."),
    force: bool = typer.Option(False, "--force", help="Keep the artefact even if it is not good enough."),
    json: bool = typer.Option(False, "--json", help="Print the layers and what model.toml says as JSON."),
) -> None:
    """Quantize a network to int8 and verify the artefact against PyTorch.

    Ranges of activations come from training images. It is kept only if 95 % of the pixels have the same class, or if
    the mean IoU falls by at most --max-miou-drop. `pixelwise predict` and `evaluate` take it like a run.
    """
    if output is None and not sensitivity:
        raise typer.BadParameter("give --output for the artefact, or --sensitivity for a list of layers")
    from pixelwise.reports.artefacts import Graph, Wanted, quantize_and_show

    quantize_and_show(
        source,
        output,
        target,
        Wanted(weights=weights, num_classes=classes, data=data, split=split, images=images),
        Graph(argmax=argmax, uint8_input=uint8_input, output_stride=output_stride, dynamic=dynamic, size=size),
        list_layers=sensitivity,
        max_miou_drop=max_miou_drop,
        least_equal=least_equal,
        calibration_images=calibration_images,
        threads=threads,
        force=force,
        as_json=json,
    )
