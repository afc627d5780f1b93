"""The published pages in any format, as text or on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixelwise.options import TableFormat
from pixelwise.reports.tables.formats import Renderers, as_printed, show
from pixelwise.reports.zoo.page import render_html
from pixelwise.reports.zoo.terminal import print_pages
from pixelwise.reports.zoo.text import render_csv, render_json, render_markdown
from pixelwise.zoo.rows import ZooPage

RENDERERS: Renderers[Sequence[ZooPage]] = {
    "terminal": lambda pages: as_printed(pages, print_pages),
    "md": render_markdown,
    "html": render_html,
    "csv": render_csv,
    "json": render_json,
}
"""Format -> function that renders the pages."""


def render(pages: Sequence[ZooPage], format: TableFormat) -> str:
    """The pages in one of the text formats."""
    return RENDERERS[format](pages)


def show_table(pages: Sequence[ZooPage], output: Path | None, format: TableFormat | None) -> None:
    """Print the pages, or the path of the file they were written to."""
    show(pages, output, format, RENDERERS, print_pages)
