"""`pixelwise schema`: the JSON Schema of recipe files, for editors."""

from __future__ import annotations

from pathlib import Path

import typer

EXAMPLES = (
    "pixelwise schema mine.toml  # writes recipe.schema.json beside it, and the line that names it",
    "pixelwise schema > recipe.schema.json",
)
"""Shown at the end of the help."""


def run(
    recipes: list[Path] = typer.Argument(None, metavar="[RECIPE.toml]...", help="Recipe files that name the schema."),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        metavar="FILE",
        help="File for the schema. Default: recipe.schema.json beside the first.",
    ),
) -> None:
    """Print the JSON Schema of recipe files, with which editors complete, explain and check fields.

    Given recipe files, writes the schema beside them, and `#:schema ./recipe.schema.json` into their first lines, which
    taplo and the TOML extensions of VS Code and other editors read. The line is a comment: the recipe stays the same.
    """
    import pixelwise
    from pixelwise.reports.recipes import show_schema

    show_schema(pixelwise.schema(recipes or (), output))
