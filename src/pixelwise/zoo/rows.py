"""The published pages, each row joined with what was counted and measured here.

`read_zoo` joins a page's transcription, the recipes and the results into a `ZooPage`; `pixelwise.reports.zoo` only
lays it out.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.published.pages import (
    Code,
    Heading,
    Listing,
    Page,
    Paragraph,
    PerClass,
    Row,
    Table,
    printed_number,
)
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.zoo.counting import Count, count_recipe, disagreements
from pixelwise.zoo.results import TOLERATED_POINTS, Found, Measured, reproduces, summarize

State = Literal["published only", "architecture verified", "trained here", "reproduced"]

OUR_COLUMNS = ("recipe", "parameters (M)", "GMACs", "measured mIoU (%)", "state")
"""Columns added to those of the page."""

LEGEND = (
    (
        "published only",
        "the score is quoted from the page; nothing about it is confirmed here, for the reason given in the footnote.",
    ),
    (
        "architecture verified",
        "the network built here has the parameters and the GMACs of the original implementation, counted with the same "
        "number of outputs and at the same image size: parameters agree in every known digit, GMACs within 0.1 % "
        "unless the recipe sets another tolerance.",
    ),
    (
        "trained here",
        "there is a result of the unchanged recipe (with any seed), but the training was not finished, or it was "
        "scored on another split or with another protocol, or it is more than "
        f"{TOLERATED_POINTS:.2f} points below the published mIoU.",
    ),
    (
        "reproduced",
        "the mean of the results of the unchanged recipe (with any seed), scored on the published split with the "
        f"published protocol, is at most {TOLERATED_POINTS:.2f} points below the published mIoU, or above it.",
    ),
)
"""The states in ascending order, each with its meaning."""

EXPLANATION = (
    "GMACs are multiply-accumulates (in units of 10^9) for inference on one image of the size that the row prints; any "
    "other size is given beside them (width x height). Parameters include auxiliary heads; GMACs do not."
)
FAR = 0.005
"""Relative difference above which a footnote says that the page's GMACs differ from the original's."""


class ZooRow(msgspec.Struct, frozen=True, kw_only=True):
    """One published row and what is known about it here.

    Attributes:
        page: Id of the page.
        section: The headings above the row.
        group: The group line above the row inside its table.
        cells: The row's cells as the page prints them.
        on_page: False for a recipe that belongs to the page but is not one of its rows.
        counted: Parameters and GMACs counted here.
        measured: Results measured here; None if there are none.
        state: How far the row is confirmed; `LEGEND` defines the states.
        remarks: Footnotes, as pairs of one of `OUR_COLUMNS` and a text.
        per_class: (class, published IoU as printed, measured IoU in percent), if the page prints them.
    """

    page: str
    section: tuple[str, ...]
    group: str
    cells: tuple[str, ...]
    recipe: Recipe
    on_page: bool
    counted: Count
    measured: Measured | None
    state: State
    remarks: tuple[tuple[str, str], ...]
    per_class: tuple[tuple[str, str, float | None], ...] = ()


class ZooTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a page.

    Attributes:
        columns: Headings of the page's own columns.
        align: One letter per column: `l`, `c` or `r`.
        rows: Rows, and the texts of group lines.
    """

    columns: tuple[str, ...]
    align: str
    rows: tuple[ZooRow | str, ...]


class ZooClasses(msgspec.Struct, frozen=True, kw_only=True):
    """A table of per-class scores.

    Attributes:
        label: Label that the page prints for the scores.
        row: The row it belongs to; its `per_class` holds the scores.
    """

    label: str
    row: ZooRow


class ZooPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page joined with the recipes, counts and results of its rows.

    Attributes:
        page: Transcription of the page.
        blocks: The page's content, with the tables filled in.
        extra: Recipes that belong to the page but are not rows of it.
        footnotes: (letter, text) of our footnotes; the page's own are among its blocks.
    """

    page: Page
    blocks: tuple[Heading | Paragraph | Code | Listing | ZooTable | ZooClasses, ...]
    extra: ZooTable | None
    footnotes: tuple[tuple[str, str], ...]

    def rows(self) -> list[ZooRow]:
        """All rows in the order of the page, then the extra ones."""
        tables = [block for block in (*self.blocks, self.extra) if isinstance(block, ZooTable)]
        return [row for table in tables for row in table.rows if isinstance(row, ZooRow)]

    def marks(self, row: ZooRow, column: str) -> str:
        """The letters of a row's footnotes in one of `OUR_COLUMNS`, separated by commas."""
        letters = {text: letter for letter, text in self.footnotes}
        return ",".join(letters[text] for where, text in row.remarks if where == column)


def read_zoo(
    pages: Sequence[Page],
    results: Sequence[Found] = (),
    *,
    find: Callable[[str], Recipe] = find_recipe,
    names: Sequence[str] | None = None,
    count: Callable[[Recipe], Count] = count_recipe,
    observer: Observer = SILENT,
) -> list[ZooPage]:
    """Join pages, recipes and results.

    Args:
        pages: Transcriptions of the pages.
        results: Results measured here.
        find: Looks up a recipe by name.
        names: Names of all recipes; None: those of the catalogue.
        count: Counts parameters and GMACs of a recipe.
        observer: Receives the number of networks counted so far.

    Raises:
        RecipeError: R200, the recipe of a row does not exist.
    """
    known = [find(name) for name in (list_recipes() if names is None else names)]
    observer.phase("counting parameters and GMACs")
    counted = itertools.count(1)

    def counting(recipe: Recipe) -> Count:
        found = count(recipe)
        observer.progress(next(counted), None)
        return found

    return [_Join(page, results, find, counting).finish(known) for page in pages]


class _Join:
    """Joins the blocks of one page in their order, keeping track of the headings above each row."""

    def __init__(
        self, page: Page, results: Sequence[Found], find: Callable[[str], Recipe], count: Callable[[Recipe], Count]
    ) -> None:
        self.page = page
        self.results = results
        self.find = find
        self.count = count
        self.section: list[str] = []
        self.classes = {block.recipe: block for block in page.blocks if isinstance(block, PerClass)}
        self.rows: dict[str, ZooRow] = {}

    def finish(self, known: Sequence[Recipe]) -> ZooPage:
        blocks = tuple(self._block(block) for block in self.page.blocks)
        more = [one for one in known if one.published and one.published.page == self.page.page]
        extra = tuple(self._extra(one) for one in more if one.name not in self.rows)
        table = ZooTable(columns=("Published elsewhere", "Mean IoU (%)"), align="lr", rows=extra) if extra else None
        texts = dict.fromkeys(text for row in (*self.rows.values(), *extra) for _, text in row.remarks)
        letters = (_letter(index) for index in range(len(texts)))
        return ZooPage(page=self.page, blocks=blocks, extra=table, footnotes=tuple(zip(letters, texts, strict=True)))

    def _block(
        self, block: Heading | Paragraph | Code | Listing | Table | PerClass
    ) -> Heading | Paragraph | Code | Listing | ZooTable | ZooClasses:
        if isinstance(block, Heading):
            self.section[block.level - 1 :] = [block.text]
            return block
        if isinstance(block, Table):
            return self._table(block)
        if isinstance(block, PerClass):
            return ZooClasses(label=block.label, row=self.rows[block.recipe])
        return block

    def _table(self, table: Table) -> ZooTable:
        rows: list[ZooRow | str] = []
        group = ""
        for row in table.rows:
            if row.group:
                group = row.group.strip("- ")
                rows.append(row.group)
            else:
                rows.append(self._row(table, row, group))
        return ZooTable(columns=table.columns, align=table.align, rows=tuple(rows))

    def _row(self, table: Table, row: Row, group: str) -> ZooRow:
        printed = printed_number(row.cells[table.gmacs]) if table.gmacs is not None else None
        made = self._join(self.find(row.recipe), row.cells, printed, group, on_page=True)
        self.rows[row.recipe] = made
        return made

    def _extra(self, recipe: Recipe) -> ZooRow:
        published = recipe.published
        miou = published.miou_percent if published else None
        cells = (published.source if published else "", "" if miou is None else f"{miou:.2f}")
        return self._join(recipe, cells, None, "", on_page=False)

    def _join(
        self, recipe: Recipe, cells: tuple[str, ...], printed: float | None, group: str, *, on_page: bool
    ) -> ZooRow:
        counted = self.count(recipe)
        measured = summarize(recipe, self.results)
        problems = disagreements(recipe.published.original if recipe.published else None, counted)
        state = _state(recipe, measured, problems)
        return ZooRow(
            page=self.page.page,
            section=tuple(self.section) if on_page else (),
            group=group,
            cells=cells,
            recipe=recipe,
            on_page=on_page,
            counted=counted,
            measured=measured,
            state=state,
            remarks=tuple(_remarks(recipe, printed, measured, problems)),
            per_class=_per_class(self.classes.get(recipe.name), measured),
        )


def _state(recipe: Recipe, measured: Measured | None, problems: Sequence[str]) -> State:
    if reproduces(recipe, measured):
        return "reproduced"
    if measured is not None and measured.kind != "other":
        return "trained here"
    return "published only" if problems else "architecture verified"


def _remarks(
    recipe: Recipe, printed: float | None, measured: Measured | None, problems: Sequence[str]
) -> list[tuple[str, str]]:
    """Footnotes of a row, each with the column it belongs to."""
    published = recipe.published
    original = published.original if published else None
    found = []
    if published is not None and published.note:
        found.append(("recipe", published.note))
    if original is not None:
        far = printed and original.gmacs and abs(printed - original.gmacs) > FAR * original.gmacs
        if original.note:
            found.append(("GMACs", original.note))
        elif far:
            found.append(("GMACs", "The page prints a value other than the original implementation's."))
        if original.gmacs is None:
            found.append(("GMACs", "Only the parameters of the original are known, not its GMACs."))
    if measured is not None:
        found += [("measured mIoU (%)", remark) for remark in measured.remarks]
    return found + [("state", problem) for problem in problems]


def _per_class(block: PerClass | None, measured: Measured | None) -> tuple[tuple[str, str, float | None], ...]:
    if block is None:
        return ()
    runs = measured.runs if measured is not None and measured.kind == "comparable" else ()
    rows = []
    for index, (name, value) in enumerate(zip(block.classes, block.values, strict=True)):
        scores = [run.result.per_class[index].iou for run in runs if len(run.result.per_class) == len(block.classes)]
        known = [100 * score for score in scores if not math.isnan(score)]
        rows.append((name, value, sum(known) / len(known) if known else None))
    return tuple(rows)


def our_cells(row: ZooRow) -> tuple[str, ...]:
    """The cells of `OUR_COLUMNS` without footnote letters; `-` where there is no value."""
    return (
        row.recipe.name,
        "-" if row.counted.parameters is None else f"{row.counted.parameters / 1e6:.3f}",
        _gmacs(row),
        "-" if row.measured is None else f"{row.measured.percent:.2f}",
        row.state,
    )


def gmacs_text(value: float) -> str:
    """`3.2161792` -> `3.216`, `149.28` -> `149.28`, `1161.89` -> `1161.9`: five digits, at most three decimals."""
    return f"{value:.3f}" if value < 100 else f"{value:.2f}" if value < 1000 else f"{value:.1f}"


def _gmacs(row: ZooRow) -> str:
    if row.counted.gmacs is None or row.counted.size is None:
        return "-"
    height, width = row.counted.size
    wide = f"{width}x{height}"
    printed = {wide, f"{height}x{width}", f"[{width}, {height}]"} & set(row.cells)
    return gmacs_text(row.counted.gmacs) + ("" if printed else f" at {wide}")


def _letter(index: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa."""
    first, last = divmod(index, 26)
    return (string.ascii_lowercase[first - 1] if first else "") + string.ascii_lowercase[last]
