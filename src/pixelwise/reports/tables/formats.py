"""Formats of tables that are printed or written to a file, and what chooses among them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pixelwise.errors import RecipeError
from pixelwise.options import TableFormat
from pixelwise.reports.standard_output import write, write_json_text, write_path
from pixelwise.reports.terminals import Console

Shown = TypeVar("Shown")
Renderers = Mapping[TableFormat, Callable[[Shown], str]]
"""Format -> function that renders what is shown as text."""
_WIDTH = 120
"""Width of a text file in characters."""
ENDINGS: dict[str, TableFormat] = {
    ".txt": "terminal", ".md": "md", ".html": "html", ".csv": "csv", ".json": "json",
}  # fmt: skip
"""Extension of a file -> the format that it stands for."""


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


def as_printed(found: Shown, print_on: Callable[[Shown, Console], None]) -> str:
    """What a function prints on a console, as the text of a file."""
    text = io.StringIO()
    print_on(found, Console(width=_WIDTH, file=text, highlight=False))
    return text.getvalue()


def show(
    found: Shown,
    output: Path | None,
    format: TableFormat | None,
    renderers: Renderers[Shown],
    print_on: Callable[[Shown, Console], None],
) -> None:
    """Print a table, or the path of the file that it was written to.

    Args:
        found: What is shown.
        output: The file that it was written to; None if it is printed.
        format: The format; None stands for the terminal.
        renderers: The formats.
        print_on: Prints it on a terminal.
    """
    if output is not None:
        write_path(output)
    elif format in (None, "terminal"):
        print_on(found, Console(highlight=False))
    elif format == "json":
        write_json_text(renderers[format](found))
    else:
        write(renderers[format](found))
