"""`pixelwise recipes`: list the recipes."""

from __future__ import annotations

import typer

EXAMPLES = (
    "pixelwise recipes",
    "pixelwise recipes segformer",
)
"""Shown at the end of the help."""


def run(
    pattern: str = typer.Argument("", metavar="[TEXT]", help="List only names that contain this text."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the recipes: rows of the published pages, and Pixelwise's own."""
    import pixelwise
    from pixelwise.reports.recipes import show_recipes

    show_recipes(pixelwise.list_recipes(pattern), as_json=json)
