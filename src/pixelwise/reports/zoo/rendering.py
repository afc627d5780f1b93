"""The published pages in any format, as text or on the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise.errors import RecipeError
from pixelwise.reports.standard_output import write
from pixelwise.reports.terminals import Console
from pixelwise.reports.zoo.page import render_html
from pixelwise.reports.zoo.terminal import print_pages
from pixelwise.reports.zoo.text import render_csv, render_json, render_markdown
from pixelwise.zoo.options import TableFormat
from pixelwise.zoo.rows import ZooPage

_WIDTH = 120
"""Width of a text file in characters."""


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
"""Format -> function that renders the pages."""
ENDINGS: dict[str, TableFormat] = {".txt": "terminal", **{f".{name}": name for name in RENDERERS if name != "terminal"}}


def render(pages: Sequence[ZooPage], format: TableFormat) -> str:
    """The pages in one of the text formats."""
    return RENDERERS[format](pages)


def format_of(output: Path | None) -> TableFormat:
    """The format that a file's extension stands for; `terminal` if no file is written.

    Raises:
        RecipeError: R260, the extension is not that of a known format.
    """
    if output is None:
        return "terminal"
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        raise RecipeError(
            "R260",
            f"`output` is '{output.name}'; expected a name ending in {', '.join(ENDINGS)}",
            "rename it, or give the `format`",
        )
    return found


def show_table(pages: Sequence[ZooPage], output: Path | None, format: TableFormat | None) -> None:
    """Print the pages, or the path of the file they were written to."""
    if output is not None:
        write(f"{output}\n")
    elif format in (None, "terminal"):
        print_pages(pages, Console(highlight=False))
    else:
        write(render(pages, format))
