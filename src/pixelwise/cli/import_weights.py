"""`pixelwise import-weights FILE`: another system's weights in our format."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.checkpoints.options import ImportOptions
from pixelwise.cli.options import takes


@takes(ImportOptions)
def run(
    file: Path = typer.Argument(..., help="Their file: .pth, .pt, .bin or .safetensors."),
    overrides: list[str] = typer.Argument(None, help="Changes to the recipe such as model.head=mlp."),
    recipe: str = typer.Option(..., "--recipe", help="The recipe whose network the weights are of."),
    output: Path = typer.Option(..., "--output", help="Folder to create."),
    *,
    options: ImportOptions,
    json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Convert weights of another system.

    Every tensor has to be explained, or nothing is written. The folder can be given to `predict` and `evaluate` like
    a run; its provenance.json says where the weights came from.
    """
    import pixelwise
    from pixelwise.reports.importing import show_import

    report = pixelwise.import_weights_file(file, recipe, output, options, overrides=overrides or ())
    show_import(report, output, as_json=json)
