"""`pixelwise quantize RUN --target onnx --output DIR`: a network in int8, calibrated on its training images."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.deployment.int8.options import QuantizeOptions


@takes(QuantizeOptions)
def run(
    source: str = typer.Argument(..., metavar="RUN|RECIPE", help="Run folder; with --weights none a recipe."),
    output: Path = typer.Option(None, "--output", help="Folder for the artefact's files and model.toml."),
    *,
    options: QuantizeOptions,
    json: bool = typer.Option(False, "--json", help="Print the layers and what model.toml says as JSON."),
) -> None:
    """Quantize a network to int8 and verify the artefact against PyTorch.

    Ranges of activations come from training images. It is kept only if 95 % of the pixels have the same class, or if
    the mean IoU falls by at most --max-miou-drop. `pixelwise predict` and `evaluate` take it like a run.
    """
    import pixelwise
    from pixelwise.reports.artefacts import show_quantized
    from pixelwise.reports.displays import display

    with display() as observer:
        found = pixelwise.quantize(source, output, options=options, observer=observer)
    show_quantized(found, as_json=json)
