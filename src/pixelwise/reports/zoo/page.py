"""The published pages as one self-contained HTML file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from pixelwise.recipes.published.pages import pieces
from pixelwise.reports.templates import templates
from pixelwise.reports.zoo.text import title_and_introduction
from pixelwise.zoo.rows import EXPLANATION, LEGEND, OUR_COLUMNS, ZooPage, ZooRow, our_cells

_ADDRESS = re.compile(r"https?://[^\s,<>\"]+")
_ALIGN = {"l": "", "c": "center", "r": "right"}


def render_html(pages: Sequence[ZooPage]) -> str:
    """The pages as one HTML document."""
    rows = [row for page in pages for row in page.rows() if row.on_page]
    title, introduction = title_and_introduction(pages)
    return (
        templates()
        .get_template("zoo.html")
        .render(
            title=title,
            introduction=introduction,
            pages=pages,
            legend=[(state, meaning, sum(row.state == state for row in rows)) for state, meaning in LEGEND],
            explanation=EXPLANATION,
            our_columns=OUR_COLUMNS,
            rows=len(rows),
            align=_ALIGN,
            markup=_markup,
            our_cells=_our_cells,
        )
    )


def _our_cells(page: ZooPage, row: ZooRow) -> list[tuple[str, str, str]]:
    """(text, footnote letters, CSS classes) for each of our columns."""
    styles = ("name", "number right", "number right", "number right", f"state {row.state.replace(' ', '-')}")
    return [
        (text, page.marks(row, column), style)
        for text, column, style in zip(our_cells(row), OUR_COLUMNS, styles, strict=True)
    ]


def _markup(text: str) -> Markup:
    """A page's text as HTML, with its links, footnote marks and bare addresses."""
    made = Markup()
    for piece in pieces(text):
        match piece.kind:
            case "link":
                made += _link(piece.address, piece.text)
            case "raised":
                made += Markup("<sup>{}</sup>").format(piece.text)
            case _:
                made += _with_addresses(piece.text)
    return made


def _with_addresses(text: str) -> Markup:
    made, end = Markup(), 0
    for match in _ADDRESS.finditer(text):
        address = match[0].rstrip(".")
        made += escape(text[end : match.start()]) + _link(address, address)
        end = match.start() + len(address)
    return made + escape(text[end:])


def _link(address: str, text: str) -> Markup:
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, text)
