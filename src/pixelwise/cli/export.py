"""`pixelwise export RUN --target onnx --output DIR`: export a network for other runtimes."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.api.requests import check_exporting
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.deployment.export.options import ExportOptions

EXAMPLES = (
    "pixelwise export runs/unet-1 -o exported",
    "pixelwise export runs/unet-1 --target openvino --argmax --uint8-input -o exported",
    "pixelwise export runs/unet-1 --target web -o page  # then open page/index.html",
    "pixelwise export unet-resnet18 --weights none --classes 19 -o exported  # random weights, to time them",
)
"""Shown at the end of the help."""


@takes(ExportOptions)
def run(
    source: str = typer.Argument(
        ...,
        metavar="RUN|RECIPE",
        autocompletion=completion.recipes_and_runs,
        help="Run folder or hub://OWNER/NAME; with --weights none, a recipe.",
    ),
    output: Path = typer.Option(
        ..., "--output", "-o", metavar="FOLDER", help="Folder for the artefact's files and model.toml."
    ),
    *,
    options: ExportOptions,
    json: bool = typer.Option(False, "--json", help="Print model.toml as JSON, without the recipe."),
) -> None:
    """Export a network and verify the artefact against PyTorch.

    The artefact takes images of any size and predicts like the run; model.toml describes everything between an image
    file and its mask.

    Without --split and --images, the artefact is verified on synthetic street scenes. It is kept only if at least
    99.99 % of the pixels get the same class as in PyTorch. `pixelwise predict` and `evaluate` accept it like a run.
    """
    check_exporting(source, options)
    import pixelwise
    from pixelwise.reports.artefacts import show_exported
    from pixelwise.reports.displays import display

    with display() as observer:
        exported = pixelwise.export(source, output, options=options, observer=observer)
    show_exported(exported, as_json=json)
