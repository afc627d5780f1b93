"""Cells of CSV tables, which spreadsheets must not take for formulas."""

from __future__ import annotations

import math
import re
from typing import Any

# What a spreadsheet takes for the beginning of a formula, behind any number of apostrophes.
_FORMULA = re.compile(r"'*[=+\-@\t\r|%]")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def cell(value: Any) -> Any:
    """A value as a cell: text behind an apostrophe, which spreadsheets do not show, if it would begin a formula.

    Texts of numbers stay as they are, and NaN becomes an empty cell. `text_in` gives a text back, whatever it is.
    """
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
    return "" if isinstance(value, float) and math.isnan(value) else value


def text_in(cell: str) -> str:
    """The text of a cell that `cell` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
