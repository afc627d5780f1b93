"""A comparison of runs on a terminal."""

from __future__ import annotations

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.comparison import Table as PlainTable
from pixelwise.reports.terminals import Console

_SPACE = 2
"""Characters between columns."""


def print_comparison(found: Comparison, console: Console) -> None:
    """Print the tables, what is known, and what has to be known to read them."""
    for table in found.tables():
        console.print(Text(table.title, style="dim"))
        fitted, left_out = _fitted(table, console.width)
        console.print(fitted)
        if left_out:
            more = f"{left_out} more column{'' if left_out == 1 else 's'}, for which there is no room: --format csv"
            console.print(Text(more, style="dim"))
        console.print()
    console.print(Text(found.verdict, style="bold"))
    for remark in found.remarks:
        console.print(Text(f"! {remark}"))


def _fitted(table: PlainTable, width: int) -> tuple[Table, int]:
    """The table within a width: names give way, since numbers are never cut; then the last columns are left out.

    Returns:
        The table, and the number of columns that are left out.
    """
    wide = [
        max(map(cell_len, (heading, *(row[place] for row in table.rows))))
        for place, heading in enumerate(table.headings)
    ]
    cells = [max([0, *(cell_len(row[place]) for row in table.rows)]) for place in range(len(table.headings))]
    # A heading that is a name may be cut as far as the cells below it allow.
    for place in range(1, len(wide)):
        over = sum(wide) + _SPACE * (len(wide) - 1) - width
        wide[place] = max(cells[place], min(4, wide[place]), wide[place] - max(0, over))
    shown = len(wide)
    while shown > 2 and min(wide[0], 12) + sum(wide[1:shown]) + _SPACE * (shown - 1) > width:
        shown -= 1
    rest = sum(wide[1:shown]) + _SPACE * (shown - 1)
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    for place in range(shown):
        name = place == 0
        made.add_column(
            Text(table.headings[place]),
            justify="left" if name else "right",
            no_wrap=True,
            overflow="ellipsis",
            width=min(wide[0], max(1, width - rest)) if name else wide[place],
        )
    for row in table.rows:
        made.add_row(*map(Text, row[:shown]))
    return made, len(wide) - shown
