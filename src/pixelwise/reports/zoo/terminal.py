"""The published pages in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.measure import Measurement
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from pixelwise.recipes.published.pages import Code, Heading, Listing, Paragraph, pieces
from pixelwise.reports.terminals import Console
from pixelwise.zoo.rows import EXPLANATION, LEGEND, OUR_COLUMNS, ZooClasses, ZooPage, ZooRow, ZooTable, our_cells

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_JUSTIFY = {"l": "left", "c": "left", "r": "right"}
_HEADINGS = ("recipe", "params\n(M)", "GMACs", "measured\nmIoU (%)", "state")
"""Headings of our columns, with line breaks that leave room for the recipe names."""
_OUR_JUSTIFY = ("left", "right", "right", "right", "left")
_OTHER_COLUMNS = 70
"""Characters that our columns other than the recipe names take without line breaks."""
_STYLES = {
    "reproduced": "bold green",
    "trained here": "green",
    "architecture verified": "cyan",
    "published only": "dim",
}
_TEXT_WIDTH = 100
LONGEST_NAME = 48
"""Length of the longest name among the built-in recipes."""


def print_pages(pages: Sequence[ZooPage], console: Console) -> None:
    """Print the pages, then the meaning of the states.

    Where a page's columns and ours do not fit side by side, they are printed as two tables with the same row numbers.
    """
    for page in pages:
        _print_page(page, console)
    console.print(Rule(style="dim"))
    width = max(len(state) for state, _ in LEGEND)
    legend = Table(box=None, show_header=False, pad_edge=False, width=min(console.width, _TEXT_WIDTH + width))
    legend.add_column(no_wrap=True)
    legend.add_column()
    for state, meaning in LEGEND:
        legend.add_row(Text(state, style=_STYLES[state]), Text(meaning))
    console.print(legend)
    _print_text(console, Text(EXPLANATION, style="dim"))


def _print_page(page: ZooPage, console: Console) -> None:
    console.print(Rule(Text(page.page.heading, style="bold"), align="left"))
    console.print(Text(page.page.source, style="dim"))
    for block in page.blocks:
        match block:
            case Heading():
                console.print()
                console.print(Text(_plain(block.text), style="bold underline" if block.level == 1 else "bold"))
            case Paragraph():
                _print_text(console, Text(_plain(block.text)))
            case Listing():
                for item in block.items:
                    _print_text(console, Text(f"• {_plain(item)}"), indent=2)
            case Code():
                for line in block.text.strip("\n").splitlines():
                    console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
            case ZooTable():
                _print_table(page, block, console)
            case ZooClasses():
                _print_classes(block, console)
    if page.extra is not None:
        console.print()
        console.print(Text("Not on the page, from the same code base", style="bold"))
        _print_table(page, page.extra, console)
    if page.footnotes:
        console.print()
    for letter, text in page.footnotes:
        _print_text(console, Text(f"{letter}  {text}", style="dim"), indent=3)
    console.print()


def _print_text(console: Console, text: Text, indent: int = 0) -> None:
    """Print a paragraph at a readable width, with a hanging indent."""
    width = min(console.width, _TEXT_WIDTH)
    for number, line in enumerate(text.wrap(console, max(width - indent, 20))):
        line.rstrip()
        console.print(Text(" " * indent if number else "").append_text(line), soft_wrap=True)


def _print_table(page: ZooPage, table: ZooTable, console: Console) -> None:
    joint = _table(page, table, theirs=True, ours=True, width=console.width)
    if _fits(joint, console):
        console.print(joint)
        return
    console.print(_table(page, table, theirs=True, ours=False, width=console.width))
    console.print()
    console.print(_table(page, table, theirs=False, ours=True, width=console.width))


def _table(page: ZooPage, table: ZooTable, *, theirs: bool, ours: bool, width: int) -> Table:
    """The page's columns, ours, or both; apart, rows are numbered and ours include the published score."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    apart = not (theirs and ours)
    if apart:
        made.add_column("#", justify="right", no_wrap=True)
    if theirs:
        for column, letter in zip(table.columns, table.align, strict=True):
            made.add_column(Text(_plain(column)), justify=_JUSTIFY[letter], overflow="fold")  # type: ignore[arg-type]
    if ours:
        columns: list[tuple[str, str]] = [*zip(_HEADINGS, _OUR_JUSTIFY, strict=True)]
        if apart:
            columns.insert(3, ("published\nmIoU (%)", "right"))
        for column, justify in columns:
            made.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    number = 0
    for row in table.rows:
        if isinstance(row, str):
            if theirs:
                made.add_row(*([""] if apart else []), Text(_plain(row), style="italic"))
            continue
        number += 1
        cells = [Text(str(number), style="dim")] if apart else []
        cells += [Text(_plain(cell)) for cell in row.cells] if theirs else []
        cells += _ours(page, row, width, with_published=apart) if ours else []
        made.add_row(*cells)
    return made


def _ours(page: ZooPage, row: ZooRow, width: int, *, with_published: bool) -> list[Text]:
    # If the state has to be broken into two lines as well, that frees 9 more characters.
    room = width - _OTHER_COLUMNS
    room = max(room if room >= LONGEST_NAME else room + 9, 20)
    cells = []
    for column, cell in zip(OUR_COLUMNS, our_cells(row), strict=True):
        shown = folded(cell, room) if column == "recipe" else cell
        text = Text(shown, style=_STYLES.get(cell, ""))
        marks = page.marks(row, column)
        if marks:
            text.append(f" {marks}", style="dim italic")
        cells.append(text)
    if with_published:
        published = row.recipe.published.miou_percent if row.recipe.published else None
        cells.insert(3, Text("-" if published is None else f"{published:.2f}"))
    return cells


def folded(name: str, width: int) -> str:
    """A name broken into lines of at most `width` characters, after hyphens only."""
    lines = [""]
    for part in name.replace("-", "-\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _print_classes(block: ZooClasses, console: Console) -> None:
    """Print classes as columns if they fit, otherwise as rows."""
    rows = block.row.per_class
    measured = any(value is not None for *_, value in rows)
    wide = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    wide.add_column("")
    for name, _, _ in rows:
        wide.add_column(Text(name), justify="right", no_wrap=True)
    wide.add_row(block.label, *(value for _, value, _ in rows))
    if measured:
        wide.add_row("measured", *(_percent(value) for *_, value in rows))
    if _fits(wide, console):
        console.print(wide)
        return
    tall = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    tall.add_column("")
    tall.add_column(block.label, justify="right")
    if measured:
        tall.add_column("measured", justify="right")
    for name, published, value in rows:
        tall.add_row(Text(name), published, *([_percent(value)] if measured else []))
    console.print(tall)


def _fits(table: Table, console: Console) -> bool:
    """Whether a table fits the console without line breaks inside its cells."""
    unlimited = console.options.update_width(10_000)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _plain(text: str) -> str:
    """A page's text with superscript digits as footnote marks and without link addresses."""
    return "".join(piece.text.translate(_RAISED) if piece.kind == "raised" else piece.text for piece in pieces(text))
