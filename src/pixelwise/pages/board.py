"""The leaderboard: results in groups of the same protocol and data, because no others can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Catalog, Entry
from pixelwise.pages.networks.costs import Cost, Costs
from pixelwise.pages.pareto import Plot, Point, plot_of
from pixelwise.pages.separated.background import Separations
from pixelwise.pages.state import AXES, COLUMNS, RISING, State
from pixelwise.records.result import Result
from pixelwise.reports.numbers import NOT_AVAILABLE, count, percent


class Cell(NamedTuple):
    """A value of a row.

    Attributes:
        text: The value for readers.
        value: The value to sort and to plot by; NaN if there is none.
        note: Further text, such as an interval.
    """

    text: str
    value: float
    note: str = ""


class Row(NamedTuple):
    """A result in the leaderboard.

    Attributes:
        id: Its id.
        name: Name of its run.
        recipe: Name of the recipe.
        machine: Hardware of the evaluation, on which its time per image depends.
        bar: mIoU in percent of the way, as a whole number.
        cells: Its values, in the order of `COLUMNS`.
        pinned: Whether it is pinned.
        chosen: Whether it is chosen for a comparison.
        best: The columns in which no other row of its group is better.
        near_best: Whether its mIoU is not told from the best one of its group by the images; false for the best one,
            and where that is not known.
    """

    id: str
    name: str
    recipe: str
    machine: str
    bar: int
    cells: dict[str, Cell]
    pinned: bool = False
    chosen: bool = False
    best: frozenset[str] = frozenset()
    near_best: bool = False


class Group(NamedTuple):
    """Results whose scores can be compared: of one split of the same data under one protocol.

    Attributes:
        split: Name of the split.
        protocol: Name of the protocol.
        data: Name of the data set's folder; empty for generated data.
        fingerprint: First digits of the data's fingerprint.
        variant: Options that make this another question; empty if none.
        images: Number of images, as text.
        classes: Number of classes.
        rows: The results, pinned ones first.
        hidden: Number of results that are hidden.
        plot: Score against cost; None without two values to plot.
    """

    split: str
    protocol: str
    data: str
    fingerprint: str
    variant: str
    images: str
    classes: int
    rows: list[Row]
    hidden: int
    plot: Plot | None


class Board(NamedTuple):
    """The leaderboard.

    Attributes:
        groups: The groups, the largest first.
        unscored: Runs without a result.
        problems: What could not be read, as sentences.
        hidden: Number of results that are hidden.
    """

    groups: list[Group]
    unscored: list[Entry]
    problems: list[str]
    hidden: int


def board_of(
    catalog: Catalog, entries: Sequence[Entry], costs: Costs, state: State, separations: Separations | None = None
) -> Board:
    """The leaderboard in a state.

    Args:
        catalog: Reads the results.
        entries: All results and runs.
        costs: Counts the networks; what is not counted yet is shown as such.
        state: Sorting, pins and hidden results.
        separations: Finds out which results are told from the best one; None to leave that open.
    """
    found: dict[tuple[str, ...], list[tuple[Entry, Result]]] = {}
    unscored, problems = [], []
    for entry in entries:
        try:
            result = catalog.result(entry)
        except PixelwiseError as error:
            problems.append(f"{entry.name}: {error.message}")
            continue
        if result is None:
            unscored.append(entry)
        else:
            key = result.protocol, result.data_fingerprint, result.split, result.variant
            found.setdefault(key, []).append((entry, result))
    groups = [
        _group(results, costs, state, separations) for _, results in sorted(found.items(), key=lambda one: one[0])
    ]
    groups.sort(key=lambda group: -len(group.rows) - group.hidden)
    return Board(groups, unscored, problems, sum(group.hidden for group in groups))


def _group(
    results: Sequence[tuple[Entry, Result]], costs: Costs, state: State, separations: Separations | None
) -> Group:
    first = results[0][1]
    shown = [(entry, result) for entry, result in results if entry.id not in state.hidden]
    rows = [
        row_of(entry, result, costs.of(entry.run, result.recipe_hash, result.input_size)) for entry, result in shown
    ]
    rows = in_order(_marked(rows, shown, separations), state)
    points = [
        Point(
            row.id, row.name, row.cells[state.axis].value, row.cells["miou"].value, row.cells["miou"].note, row.pinned
        )
        for row in rows
    ]
    return Group(
        split=first.split,
        protocol=first.protocol,
        data=first.data.rstrip("/\\").replace("\\", "/").rpartition("/")[2],
        fingerprint=first.data_fingerprint[:8],
        variant=first.variant,
        images=count(first.images),
        classes=len(first.per_class),
        rows=rows,
        hidden=len(results) - len(shown),
        plot=plot_of(points, AXES[state.axis]),
    )


def _marked(rows: list[Row], shown: Sequence[tuple[Entry, Result]], separations: Separations | None) -> list[Row]:
    """The rows, with a mark on those that are not told from the best one."""
    if separations is None:
        return rows
    told = separations.of([(entry.evaluation or entry.run, result) for entry, result in shown])
    highest = max(
        (row.cells["miou"].value for row in rows if not math.isnan(row.cells["miou"].value)), default=math.nan
    )
    return [
        row._replace(near_best=apart is False and row.cells["miou"].value < highest)
        for row, apart in zip(rows, told, strict=True)
    ]


def row_of(entry: Entry, result: Result, cost: Cost | None) -> Row:
    """The row of a result.

    Args:
        entry: The result's place.
        result: The result.
        cost: Cost of its network; None if it is still being counted.
    """
    interval = " to ".join(percent(end, 1) for end in result.miou_interval or ())
    speed = 1000 / result.images_per_second if result.images_per_second > 0 else math.nan
    minutes = result.training.seconds / 60 if result.training is not None else math.nan
    size = f"at {cost.size[1]} x {cost.size[0]} px" if cost is not None and cost.size is not None else ""
    cells = {
        "miou": Cell(percent(result.miou), result.miou, interval),
        "boundary": Cell(percent(result.boundary_miou), result.boundary_miou),
        "parameters": _counted(cost, None if cost is None or cost.parameters is None else cost.parameters / 1e6),
        "gmacs": _counted(cost, None if cost is None or cost.macs is None else cost.macs / 1e9, size),
        "latency": _measured(speed),
        "minutes": _measured(minutes),
    }
    machine = result.machine.gpu or result.machine.cpu
    bar = 0 if math.isnan(result.miou) else round(100 * result.miou)
    return Row(entry.id, entry.name, result.recipe, machine, bar, cells)


def in_order(rows: Iterable[Row], state: State) -> list[Row]:
    """Rows in the order of a state: pinned ones first, those without a value last; the best values are marked."""
    rows = list(rows)
    best = {column: _best(rows, column) for column in COLUMNS} if len(rows) > 1 else {}
    marked = [
        row._replace(
            pinned=row.id in state.pinned,
            chosen=row.id in state.chosen,
            best=frozenset(column for column, value in best.items() if row.cells[column].value == value),
        )
        for row in rows
    ]

    def place(row: Row) -> tuple[bool, int, bool, float, str]:
        value = row.cells[state.sort].value
        sign = -1 if (state.sort in RISING) != state.reverse else 1
        pin = state.pinned.index(row.id) if row.pinned else 0
        return not row.pinned, pin, math.isnan(value), 0 if math.isnan(value) else sign * value, row.name

    return sorted(marked, key=place)


def _best(rows: Sequence[Row], column: str) -> float:
    """The best value of a column; NaN, which equals nothing, if there is none."""
    values = [value for row in rows if not math.isnan(value := row.cells[column].value)]
    return (max if column in RISING else min)(values, default=math.nan)


def _counted(cost: Cost | None, value: float | None, note: str = "") -> Cell:
    if value is None:
        return Cell("…" if cost is None else NOT_AVAILABLE, math.nan, "" if cost is None else "cannot be counted here")
    return Cell(three_digits(value), value, note)


def _measured(value: float) -> Cell:
    return Cell(NOT_AVAILABLE if math.isnan(value) else three_digits(value), value)


def three_digits(value: float) -> str:
    """`0.3712` -> `0.371`; `12.345` -> `12.3`; `4567` -> `4567`."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.001 or value == 0 else f"{value:.1e}"
