"""Terminal output of recipes: a list of them, or one in full."""

from __future__ import annotations

from collections.abc import Sequence

from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.explaining import readable
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.reports.standard_output import write, write_json


def show_recipe(recipe: Recipe, *, as_json: bool = False) -> None:
    """Print every field of a recipe, as TOML that can be read back, or as JSON; those that are not set are comments."""
    if as_json:
        write_json(to_plain(recipe))
    else:
        write(readable(recipe))


def show_recipes(names: Sequence[str], *, as_json: bool = False) -> None:
    """Print recipes with their data sets and published scores, as a table or as JSON."""
    entries = [find_recipe(name) for name in names]
    if as_json:
        rows = [
            {
                "name": entry.name,
                "summary": entry.summary,
                "dataset": entry.data.dataset,
                "published_miou_percent": _published(entry),
            }
            for entry in entries
        ]
        write_json(rows)
        return
    from rich.table import Table  # takes 50 ms, which JSON does not need

    from pixelwise.reports.terminals import Console

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("data")
    table.add_column("published mIoU", justify="right")
    table.add_column("description")
    for entry in entries:
        percent = _published(entry)
        table.add_row(entry.name, entry.data.dataset, "-" if percent is None else f"{percent:.2f}", entry.summary)
    Console().print(table)


def _published(recipe: Recipe) -> float | None:
    return recipe.published.miou_percent if recipe.published else None
