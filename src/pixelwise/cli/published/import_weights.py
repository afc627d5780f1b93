"""`pixelwise import-weights FILE`: convert weights of another system."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.checkpoints.options import ImportOptions
from pixelwise.cli.line.options import takes

EXAMPLES = ("pixelwise import-weights enet.pth --recipe enet-camvid --source pytorch-enet -o imported",)
"""Shown at the end of the help."""


@takes(ImportOptions)
def run(
    file: Path = typer.Argument(..., metavar="FILE", help="Weights file, whatever its name, or a folder with one."),
    overrides: list[str] = typer.Argument(
        None, metavar="[FIELD=VALUE]...", help="Changes to the recipe, such as model.head=mlp."
    ),
    recipe: str = typer.Option(
        ..., "--recipe", metavar="RECIPE", help="Recipe of the network that the weights belong to."
    ),
    output: Path = typer.Option(..., "--output", "-o", metavar="FOLDER", help="Folder to create."),
    *,
    options: ImportOptions,
    json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Convert weights of another system.

    Nothing is written unless every tensor is accounted for. `predict` and `evaluate` accept the folder like a run; its
    provenance.json records where the weights came from.
    """
    import pixelwise
    from pixelwise.reports.importing import show_import

    report = pixelwise.import_weights_file(file, recipe, output, options, overrides=overrides or ())
    show_import(report, output, as_json=json)
