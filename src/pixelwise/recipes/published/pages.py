"""Transcriptions of the published pages, with their headings, texts, tables and footnotes in order.

`pages/` has one TOML file per page. Texts and cells are exactly as printed; `[label](address)` is a link and
`<sup>1</sup>` a footnote mark. The results that a recipe claims for its row are stated in the recipe; tests compare the
two. A further page, `modern`, is no transcription: it is compiled here from the publications that its text names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.suggestions import did_you_mean

PAGES = ("000", "001", "002", "003", "004")
"""Ids of the transcribed pages."""
COMPILED = ("modern",)
"""Ids of the pages that are compiled here."""
_FOLDER = Path(__file__).parent / "pages"
_MARKUP = re.compile(r"\[(?P<label>[^\]]+)\]\((?P<address>\S+?)\)|<sup>(?P<raised>.+?)</sup>")


class Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the elements of a page, which differ by `kind`."""


class Heading(Block, frozen=True, kw_only=True, tag="heading"):
    """A heading; the page's own title has level 1."""

    level: int
    text: str


class Paragraph(Block, frozen=True, kw_only=True, tag="paragraph"):
    """A paragraph, or one of the page's footnotes."""

    text: str


class Code(Block, frozen=True, kw_only=True, tag="code"):
    """Preformatted text, with its line breaks."""

    text: str


class Listing(Block, frozen=True, kw_only=True, tag="list"):
    """A bulleted list."""

    items: tuple[str, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a table: a result with the name of its recipe, or a subheading (`group`)."""

    recipe: str = ""
    cells: tuple[str, ...] = ()
    group: str = ""


class Table(Block, frozen=True, kw_only=True, tag="table"):
    """A table of results.

    Attributes:
        columns: Column headings of the page, not necessarily unique.
        align: Alignment of the columns, with one letter per column: `l`, `c` or `r`.
        rows: Rows in the page's order.
        miou: Index of the column with the mean IoU, from 0.
        gmacs: Index of the column with the complexity; None if there is none.
    """

    columns: tuple[str, ...]
    align: str
    rows: tuple[Row, ...]
    miou: int
    gmacs: int | None = None

    def __post_init__(self) -> None:
        if len(self.align) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns but {len(self.align)} alignments")
        for row in self.rows:
            if not row.group and len(row.cells) != len(self.columns):
                raise ValueError(f"row '{row.recipe}' has {len(row.cells)} cells for {len(self.columns)} columns")


class PerClass(Block, frozen=True, kw_only=True, tag="per_class"):
    """The per-class IoU of one row, in percent as printed, with the classes in the order of the recipe."""

    recipe: str
    label: str
    classes: tuple[str, ...]
    values: tuple[str, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published page.

    Attributes:
        page: Id of the page.
        title: Our title for the page.
        source: Location of the original page.
        aliases: Further names by which the page can be found.
        compiled: Whether the page is compiled here from several publications, rather than the transcription of one.
        blocks: Content of the page, in order.
    """

    page: str
    title: str
    source: str
    aliases: tuple[str, ...]
    compiled: bool = False
    blocks: tuple[Heading | Paragraph | Code | Listing | Table | PerClass, ...]

    @property
    def heading(self) -> str:
        """The title, after the page's number if it has one."""
        return self.title if self.compiled else f"Page {self.page}: {self.title}"

    def rows(self) -> Iterator[tuple[Table, Row]]:
        """Every row that has a recipe, with its table."""
        for block in self.blocks:
            if isinstance(block, Table):
                for row in block.rows:
                    if row.recipe:
                        yield block, row


class Piece(NamedTuple):
    """A piece of a text.

    Attributes:
        kind: `text`, `link` or `raised` (a footnote mark).
        text: Visible text.
        address: Target of a link.
    """

    kind: Literal["text", "link", "raised"]
    text: str
    address: str = ""


@cache
def read_page(page: str) -> Page:
    """The transcription of the page with this id.

    Raises:
        RecipeError: R209, there is no such page.
    """
    if page not in PAGES + COMPILED:
        raise _no_such_page(page)
    return msgspec.convert(tomllib.loads((_FOLDER / f"{page}.toml").read_text("utf-8")), Page)


def find_page(name: str) -> str:
    """The id of a page from its number (`000` or `0`) or an alias such as `enet`.

    Raises:
        RecipeError: R209, there is no such page (with similar names).
    """
    wanted = name.strip().lower()
    if wanted.isdecimal() and wanted.zfill(3) in PAGES:
        return wanted.zfill(3)
    if wanted in COMPILED:
        return wanted
    for page in PAGES + COMPILED:
        if wanted in read_page(page).aliases:
            return page
    raise _no_such_page(name)


def _no_such_page(name: str) -> RecipeError:
    known = [alias for page in PAGES + COMPILED for alias in (page, *read_page(page).aliases)]
    listed = ", ".join(f"{page} ({read_page(page).aliases[0]})" for page in PAGES + COMPILED)
    return RecipeError(
        "R209", f"no published page is called '{name}'{did_you_mean(name.lower(), known)}", f"the pages are {listed}"
    )


def pieces(text: str) -> list[Piece]:
    """A page's text split into plain text, links and footnote marks."""
    found, end = [], 0
    for match in _MARKUP.finditer(text):
        if match.start() > end:
            found.append(Piece("text", text[end : match.start()]))
        if match["raised"] is not None:
            found.append(Piece("raised", match["raised"]))
        else:
            found.append(Piece("link", match["label"], match["address"]))
        end = match.end()
    if end < len(text):
        found.append(Piece("text", text[end:]))
    return found


def printed_number(cell: str) -> float | None:
    """The number in a cell, without footnote mark and percent sign; None if the cell is empty."""
    text = "".join(piece.text for piece in pieces(cell) if piece.kind != "raised").strip().removesuffix("%")
    return float(text) if text else None
