"""Terminal output of recipes: a list of them, or one in full."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.editors import EditorHelp
from pixelwise.recipes.explaining import readable
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.reports.standard_output import write, write_json, write_path

OWN_IMAGES = "for your own images: pixelwise train PHOTOS, or pixelwise train PHOTOS --recipe NAME"
MORE = "pixelwise explain NAME tells more about one; pixelwise models search finds by score and cost"


def show_recipe(recipe: Recipe, *, as_json: bool = False) -> None:
    """Print every field of a recipe, as TOML that can be read back, or as JSON; those that are not set are comments."""
    if as_json:
        write_json(to_plain(recipe))
    else:
        write(readable(recipe))


def show_schema(made: EditorHelp) -> None:
    """Print a JSON Schema, or the paths of the files that were written."""
    if made.output is None:
        write_json(made.schema)
        return
    for path in (made.output, *made.recipes):
        write_path(path)


def show_recipes(names: Sequence[str], *, as_json: bool = False) -> None:
    """Print recipes as JSON, or one line each in groups, of which the first is for the user's own images.

    Lines are cut at the width of a terminal, and complete wherever else they go.
    """
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
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    blocks = ["\n".join([title, *_lines(inside, width)]) for title, inside in grouped(entries).items()]
    write("\n\n".join([*blocks, MORE]) + "\n" if blocks else "no recipe has this text in its name\n")


def grouped(recipes: Sequence[Recipe]) -> dict[str, list[Recipe]]:
    """Title -> its recipes: those for the user's own images, Pixelwise's others, and the published rows by page."""
    own = [one for one in recipes if one.published is None]
    groups = {
        OWN_IMAGES: sorted((one for one in own if one.data.dataset == "auto"), key=lambda one: not one.planned),
        "for one data set": [one for one in own if one.data.dataset != "auto"],
    }
    for one in recipes:
        if one.published is not None:
            groups.setdefault(f"page {one.published.page}: {one.published.title} (published mIoU)", []).append(one)
    return {title: inside for title, inside in groups.items() if inside}


def _lines(recipes: Sequence[Recipe], width: int | None) -> list[str]:
    """Name, data set, published mIoU and summary in columns; data set and mIoU only where a group has them."""
    columns = [[one.name for one in recipes]]
    if any(one.data.dataset != "auto" for one in recipes):
        columns.append([one.data.dataset for one in recipes])
    scores = [_published(one) for one in recipes]
    if any(score is not None for score in scores):
        columns.append(["    -" if score is None else f"{score:5.2f}" for score in scores])
    columns.append([one.summary for one in recipes])
    widths = [max(map(len, column)) for column in columns[:-1]]
    rows = [
        "  " + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)), cells[-1]])
        for cells in zip(*columns, strict=True)
    ]
    return [row if width is None or len(row) <= width else f"{row[: width - 1]}…" for row in rows]


def _published(recipe: Recipe) -> float | None:
    return recipe.published.miou_percent if recipe.published else None
