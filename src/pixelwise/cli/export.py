"""`pixelwise export RUN --target onnx --output DIR`: a network for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer


def run(
    source: str = typer.Argument(..., metavar="RUN|RECIPE", help="Run folder; with --weights none a recipe."),
    target: Literal["onnx", "openvino", "torch-export", "executorch"] = typer.Option(
        "onnx", "--target", help="The format."
    ),
    output: Path = typer.Option(..., "--output", help="Folder for model.onnx (or .xml, .pt2, .pte) and model.toml."),
    argmax: bool = typer.Option(False, "--argmax", help="Class ids (uint8) come out instead of logits."),
    uint8_input: bool = typer.Option(
        False, "--uint8-input", help="RGB bytes (N, H, W, 3) go in; they are normalised inside."
    ),
    output_stride: str = typer.Option(
        "1", "--output-stride", help="Result of the image's size divided by it, or 'head': nothing is enlarged."
    ),
    dynamic: bool = typer.Option(False, "--dynamic", help="Any number of images of any size."),
    size: str = typer.Option(None, "--size", help="WIDTHxHEIGHT of the one size; default: the recipe's, or 512x512."),
    weights: str = typer.Option(None, "--weights", help="none: random weights, for the network of a recipe."),
    classes: int = typer.Option(None, "--classes", min=1, help="Outputs where a recipe leaves them to the data."),
    split: str = typer.Option(None, "--split", help="Verify on this split of the data, with the mIoU of both."),
    data: Path = typer.Option(None, "--data", help="Folder of that data; default: the one of the run."),
    images: Path = typer.Option(None, "--images", help="Verify on the images in this folder."),
    force: bool = typer.Option(False, "--force", help="Keep the artefact even if it differs from PyTorch."),
    json: bool = typer.Option(False, "--json", help="Print what model.toml says, without the recipe, as JSON."),
) -> None:
    """Export a network and verify the artefact against PyTorch.

    Without --split and --images it is verified on drawn street scenes. It is kept only if 99.99 % of the pixels have
    the same class. `pixelwise predict` and `evaluate` take it like a run.
    """
    from pixelwise.reports.artefacts import export_and_show

    export_and_show(
        source,
        output,
        target,
        argmax=argmax,
        uint8_input=uint8_input,
        output_stride=output_stride,
        dynamic=dynamic,
        size=size,
        weights=weights,
        num_classes=classes,
        split=split,
        data=data,
        images=images,
        force=force,
        as_json=json,
    )
