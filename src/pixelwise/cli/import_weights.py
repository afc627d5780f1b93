"""`pixelwise import-weights FILE`: another system's weights in our format."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    file: Path = typer.Argument(..., help="Their file: .pth, .pt, .bin or .safetensors."),
    overrides: list[str] = typer.Argument(None, help="Changes to the recipe such as model.head=mlp."),
    recipe: str = typer.Option(..., "--recipe", help="The recipe whose network the weights are of."),
    source: str = typer.Option(
        ...,
        "--source",
        help="Who wrote them: pytorch-enet, sssegmentation, united-perception, torchvision, edgeai, erfnet-pytorch, "
        "mmsegmentation or huggingface.",
    ),
    output: Path = typer.Option(..., "--output", help="Folder to create."),
    licence: str = typer.Option(None, "--licence", help="Of the weights; default: what the recipe's row says."),
    json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Convert weights of another system.

    Every tensor has to be explained, or nothing is written. The folder can be given to `predict` and `evaluate` like
    a run; its provenance.json says where the weights came from.
    """
    from pixelwise.checkpoints.import_folder import import_file
    from pixelwise.storage import json_text

    report = import_file(file, recipe, source, output, overrides=overrides or [], licence=licence)
    if json:
        print(json_text(report), end="")
        return
    print(report)
    print(f"{output}: written. Use it with: pixelwise predict {output} IMAGES")
