"""A comparison of runs in any format, as text or on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.estimates import Estimate
from pixelwise.evaluation.comparison.options import CompareFormat
from pixelwise.reports.comparison.terminal import print_comparison
from pixelwise.reports.standard_output import write, write_json_text
from pixelwise.reports.templates import templates
from pixelwise.reports.terminals import Console
from pixelwise.storage import json_text, printable
from pixelwise.storage.cells import cell

_WIDTH = 120
"""Width of a text file in characters."""
_CSV = ("kind", "first", "second", "class", "value", "low", "high", "p", "p_adjusted", "separated")


def show_comparison(found: Comparison, output: Path | None, format: CompareFormat | None) -> None:
    """Print a comparison, or the path of the file it was written to."""
    if output is not None:
        write(f"{printable(output)}\n")
    elif format in (None, "terminal"):
        print_comparison(found, Console(highlight=False))
    elif format == "json":
        write_json_text(render_json(found))
    else:
        write(render(found, format))


def render(found: Comparison, format: CompareFormat) -> str:
    """A comparison in one of the formats."""
    return RENDERERS[format](found)


def format_of(output: Path | None) -> CompareFormat:
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


def render_json(found: Comparison) -> str:
    """All numbers, fractions 0..1; what is undefined is null."""
    return json_text({"verdict": found.verdict, **msgspec.to_builtins(found)}, indent=1)


def render_markdown(found: Comparison) -> str:
    """The tables and what is said of them, in GitHub-flavoured Markdown."""
    parts = [f"**{_plain(found.verdict)}**"]
    for table in found.tables():
        lines = [_row(table.headings), _row([":--", *["--:"] * (len(table.headings) - 1)]), *map(_row, table.rows)]
        parts += [_plain(table.title), "\n".join(lines)]
    parts.append("\n".join(f"- {_plain(remark)}" for remark in found.remarks))
    return "\n\n".join(parts) + "\n"


def render_csv(found: Comparison) -> str:
    """One line per score and per difference, fractions 0..1; what is undefined is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV)
    for row in _rows(found):
        writer.writerow(map(cell, row))
    return text.getvalue()


def render_html(found: Comparison, title: str = "Comparison", links: tuple[tuple[str, str], ...] = ()) -> str:
    """A page that needs no network.

    Args:
        found: The comparison.
        title: Title of the page.
        links: Names and addresses of pages to go on with.
    """
    page = templates().get_template("comparison.html")
    return page.render(title=title, found=found, tables=found.tables(), links=links)


def _rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    for side in found.sides:
        yield ("score", side.name, "", "", *_numbers(side.miou))
        for one in side.per_class:
            yield ("score", side.name, "", one.name, *_numbers(one.iou))
    for pair in found.pairs:
        yield ("difference", pair.first, pair.second, "", *_numbers(pair.miou))
        for name, change in pair.per_class.items():
            yield ("difference", pair.first, pair.second, name, *_numbers(change))


def _numbers(one: Estimate) -> tuple[Any, ...]:
    low, high = one.interval or ("", "")
    tested = "" if one.adjusted is None else str(one.separated).lower()
    return tuple("" if value is None else value for value in (one.value, low, high, one.p, one.adjusted, tested))


def _row(cells: Any) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in "\\*_[]<>|" else letter for letter in text)


def _terminal_text(found: Comparison) -> str:
    text = io.StringIO()
    print_comparison(found, Console(width=_WIDTH, file=text, highlight=False))
    return text.getvalue()


RENDERERS: dict[CompareFormat, Callable[[Comparison], str]] = {
    "terminal": _terminal_text,
    "md": render_markdown,
    "html": render_html,
    "csv": render_csv,
    "json": render_json,
}
"""Format -> function that renders a comparison."""
ENDINGS: dict[str, CompareFormat] = {
    ".txt": "terminal",
    **{f".{name}": name for name in RENDERERS if name != "terminal"},
}
