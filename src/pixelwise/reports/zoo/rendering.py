"""The published pages in any format, as text or on the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from pixelwise.errors import RecipeError
from pixelwise.reports.zoo.page import render_html
from pixelwise.reports.zoo.terminal import print_pages
from pixelwise.reports.zoo.text import render_csv, render_json, render_markdown
from pixelwise.zoo.options import TableFormat
from pixelwise.zoo.rows import ZooPage

_WIDTH = 120
"""Columns of a text file, which nobody can make wider."""


def _terminal_text(pages: Sequence[ZooPage]) -> str:
    text = io.StringIO()
    print_pages(pages, Console(width=_WIDTH, file=text, highlight=False))
    return text.getvalue()


RENDERERS: dict[TableFormat, Callable[[Sequence[ZooPage]], str]] = {
    "terminal": _terminal_text,
    "md": render_markdown,
    "html": render_html,
    "csv": render_csv,
    "json": render_json,
}
"""Format -> pages to text."""
ENDINGS: dict[str, TableFormat] = {".txt": "terminal", **{f".{name}": name for name in RENDERERS if name != "terminal"}}


def render(pages: Sequence[ZooPage], format: TableFormat) -> str:
    """The pages as one text."""
    return RENDERERS[format](pages)


def format_of(output: Path | None) -> TableFormat:
    """What a file's ending asks for; the terminal's format where nothing is written.

    Raises:
        RecipeError: R260, the ending says nothing.
    """
    if output is None:
        return "terminal"
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        raise RecipeError(
            "R260",
            f"`output` is '{output.name}'; expected a name that ends in {', '.join(ENDINGS)}",
            "rename it, or choose the `format`",
        )
    return found


def show_table(pages: Sequence[ZooPage], output: Path | None, format: TableFormat | None) -> None:
    """Print the pages, or where they were written."""
    if output is not None:
        sys.stdout.write(f"{output}\n")
    elif format in (None, "terminal"):
        print_pages(pages, Console(highlight=False))
    else:
        sys.stdout.write(render(pages, format))
