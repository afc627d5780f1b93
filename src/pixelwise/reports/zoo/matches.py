"""Matches of a recipe search, on the terminal or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from pixelwise.reports.standard_output import write, write_json
from pixelwise.reports.terminals import Console
from pixelwise.reports.zoo.terminal import folded
from pixelwise.zoo.queries import FIELDS, Candidate
from pixelwise.zoo.rows import gmacs_text
from pixelwise.zoo.searching import SearchResult

_OTHER_COLUMNS = 62
"""Characters that the columns other than the recipe names take."""
_WIDE = 130
"""Terminal width from which on the table also has a column for the encoder."""


def show_matches(found: SearchResult, *, as_json: bool = False) -> None:
    """Print the matches, or why there are none."""
    if as_json:
        write_json([record(one) for one in found.matches])
    elif found.matches:
        _print_table(found.matches, Console(highlight=False))
    else:
        lines = [f"None of the {found.searched} recipes meets every condition:", *(f"  {why}" for why in found.reasons)]
        write("\n".join(lines) + "\n")


def record(candidate: Candidate) -> dict[str, Any]:
    """Every field of a candidate as plain data; sizes as `WIDTHxHEIGHT`."""
    fields: dict[str, Any] = {field: candidate[field] for field in FIELDS}
    return {**fields, "input": _size(candidate["input"], None), "summary": candidate.recipe.summary}


def _print_table(matches: Sequence[Candidate], console: Console) -> None:
    wide = console.width >= _WIDE
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("data", no_wrap=True)
    for title in ("mIoU", "measured", "params (M)", "GMACs", "at"):
        table.add_column(title, justify="right", no_wrap=title in ("mIoU", "GMACs", "at"))
    if wide:
        table.add_column("encoder", no_wrap=True)
    for one in matches:
        parameters, gmacs = one["params"], one["gmacs"]
        cells = [
            folded(str(one["name"]), max(console.width - _OTHER_COLUMNS, 20)),
            str(one["dataset"]),
            _percent(one["miou"]),
            _percent(one["measured"]),
            f"{parameters / 1e6:.3f}" if isinstance(parameters, (int, float)) else "-",
            gmacs_text(float(gmacs)) if isinstance(gmacs, (int, float)) else "-",
            _size(one["input"], "-"),
            *([str(one["encoder"] or "-")] if wide else []),
        ]
        table.add_row(*(Text(cell or "") for cell in cells))
    console.print(table)
    console.print(
        Text(
            f"{len(matches)} found. Parameters and GMACs are the original implementation's, or counted here where it "
            "gives none; GMACs at the size under 'at' (width x height), so compare them at equal sizes only. mIoU is "
            "as published, by each page's own protocol.",
            style="dim",
        )
    )


def _size(size: object, otherwise: str | None) -> str | None:
    return f"{size[1]}x{size[0]}" if isinstance(size, tuple) else otherwise


def _percent(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else "-"
