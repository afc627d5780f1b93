"""`pixelwise recipes`: what there is."""

from __future__ import annotations

import typer


def run(
    pattern: str = typer.Argument("", help="Only names that contain this text."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the recipes: published rows and our own."""
    from pixelwise.recipes.catalog import list_recipes, recipe
    from pixelwise.storage import json_text

    entries = [recipe(name) for name in list_recipes() if pattern.lower() in name.lower()]
    if json:
        rows = [
            {
                "name": entry.name,
                "summary": entry.summary,
                "dataset": entry.data.dataset,
                "published_miou_percent": entry.published.miou_percent if entry.published else None,
            }
            for entry in entries
        ]
        print(json_text(rows), end="")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, justify in (
        ("recipe", "left"),
        ("data", "left"),
        ("published mIoU", "right"),
        ("what it is", "left"),
    ):
        table.add_column(title, justify=justify, no_wrap=title == "recipe")  # type: ignore[arg-type]
    for entry in entries:
        printed = entry.published.miou_percent if entry.published else None
        published = f"{printed:.2f}" if printed is not None else "-"
        table.add_row(entry.name, entry.data.dataset, published, entry.summary)
    Console().print(table)
