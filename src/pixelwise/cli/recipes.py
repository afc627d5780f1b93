"""`pixelwise recipes`: what there is."""

from __future__ import annotations

import typer


def run(
    pattern: str = typer.Argument("", help="Only names that contain this text."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the recipes: published rows and our own."""
    import pixelwise
    from pixelwise.reports.recipes import show_recipes

    show_recipes(pixelwise.list_recipes(pattern), as_json=json)
