"""`pixelwise recipes`: list the recipes."""

from __future__ import annotations

import typer


def run(
    pattern: str = typer.Argument("", help="List only names that contain this text."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the recipes: rows of the published pages, and Pixelwise's own."""
    import pixelwise
    from pixelwise.reports.recipes import show_recipes

    show_recipes(pixelwise.list_recipes(pattern), as_json=json)
