"""`pixelwise quantize RUN --target onnx --output DIR`: quantize a network to int8 after training."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.api.requests import check_exporting
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.deployment.int8.options import QuantizeOptions

EXAMPLES = (
    "pixelwise quantize runs/unet-1 -o int8",
    "pixelwise quantize runs/unet-1 --max-miou-drop 0.5 -o int8",
)
"""Shown at the end of the help."""


@takes(QuantizeOptions)
def run(
    source: str = typer.Argument(
        ...,
        metavar="RUN|RECIPE",
        autocompletion=completion.recipes_and_runs,
        help="Run folder or hub://OWNER/NAME; with --weights none, a recipe.",
    ),
    output: Path = typer.Option(
        None, "--output", "-o", metavar="FOLDER", help="Folder for the artefact's files and model.toml."
    ),
    *,
    options: QuantizeOptions,
    json: bool = typer.Option(False, "--json", help="Print the layers and model.toml as JSON."),
) -> None:
    """Quantize a network to int8 and verify the artefact against PyTorch.

    Activation ranges are calibrated on training images. The artefact is kept only if at least 95 % of the pixels get
    the same class as in PyTorch, or if the mean IoU falls by at most --max-miou-drop. `pixelwise predict` and
    `evaluate` accept it like a run.
    """
    check_exporting(source, options)
    import pixelwise
    from pixelwise.reports.artefacts import show_quantized
    from pixelwise.reports.displays import display

    with display() as observer:
        found = pixelwise.quantize(source, output, options=options, observer=observer)
    show_quantized(found, as_json=json)
