"""A comparison of runs in any format, as text or on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.estimates import Estimate
from pixelwise.options import TableFormat
from pixelwise.reports.comparison.terminal import print_comparison
from pixelwise.reports.tables.formats import Renderers, as_printed, show
from pixelwise.reports.templates import templates
from pixelwise.storage import json_text
from pixelwise.storage.cells import cell

_CSV = ("kind", "first", "second", "class", "value", "low", "high", "p", "p_adjusted", "separated", "runs", "deviation")


def show_comparison(found: Comparison, output: Path | None, format: TableFormat | None) -> None:
    """Print a comparison, or the path of the file it was written to."""
    show(found, output, format, RENDERERS, print_comparison)


def render(found: Comparison, format: TableFormat) -> str:
    """A comparison in one of the formats."""
    return RENDERERS[format](found)


def render_json(found: Comparison) -> str:
    """All numbers, fractions 0..1; what is undefined is null."""
    return json_text(found.plain(), indent=1)


def render_markdown(found: Comparison) -> str:
    """The tables and what is said of them, in GitHub-flavoured Markdown."""
    parts = [f"**{_plain(found.verdict)}**"]
    for table in found.tables():
        lines = [_row(table.headings), _row([":--", *["--:"] * (len(table.headings) - 1)]), *map(_row, table.rows)]
        parts += [_plain(table.title), "\n".join(lines)]
    parts.append("\n".join(f"- {_plain(remark)}" for remark in found.remarks))
    return "\n\n".join(parts) + "\n"


def render_csv(found: Comparison) -> str:
    """One line per score and per difference, fractions 0..1; what is undefined is empty.

    The kind of a line is `score` (mIoU, or the IoU of a class), `boundary_miou` or `calibration_error`, which are means
    over the runs of a side, or `difference`, second minus first. Scores of several runs have a standard deviation.
    """
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
        runs = len(side.runs)
        yield ("score", side.name, "", "", *_numbers(side.miou), runs, _or_empty(side.deviation))
        for one in side.per_class:
            yield ("score", side.name, "", one.name, *_numbers(one.iou), runs, _or_empty(one.deviation))
        for kind, value in (("boundary_miou", side.boundary_miou), ("calibration_error", side.calibration_error)):
            if value is not None:
                yield (kind, side.name, "", "", *_numbers(Estimate(value=value)), runs, "")
    for pair in found.pairs:
        yield ("difference", pair.first, pair.second, "", *_numbers(pair.miou), "", "")
        for name, change in pair.per_class.items():
            yield ("difference", pair.first, pair.second, name, *_numbers(change), "", "")


def _numbers(one: Estimate) -> tuple[Any, ...]:
    low, high = one.interval or ("", "")
    tested = "" if one.adjusted is None else str(one.separated).lower()
    return (*map(_or_empty, (one.value, low, high, one.p, one.adjusted)), tested)


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _row(cells: Any) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in "\\*_[]<>|" else letter for letter in text)


RENDERERS: Renderers[Comparison] = {
    "terminal": lambda found: as_printed(found, print_comparison),
    "md": render_markdown,
    "html": render_html,
    "csv": render_csv,
    "json": render_json,
}
"""Format -> function that renders a comparison."""
