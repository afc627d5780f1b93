"""`Comparison`: what is known of the differences between runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from pixelwise.evaluation.comparison.estimates import Estimate
from pixelwise.storage.names import counted
from pixelwise.views import NOT_AVAILABLE, html_line, html_table, line, names_in_words, percent

_MOST_DIGITS = 8
"""Digits behind the point with which an interval that does not hold zero is shown at most."""


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """The IoU of a class, over the runs of a side.

    Attributes:
        name: Name of the class.
        iou: Mean over the runs, and its interval over images and seeds.
        deviation: Standard deviation over the runs; None for a single one.
        seeds_interval: 95 % t-interval of the mean over seeds, for these images; None for a single run.
    """

    name: str
    iou: Estimate
    deviation: float | None = None
    seeds_interval: tuple[float, float] | None = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or several of one recipe that differ only in their seed.

    Attributes:
        name: Its name.
        runs: The folders of its runs.
        seeds: Their seeds; None for an artefact.
        recipe: Name of the recipe.
        miou: Mean of the mIoU over the runs, and its interval over images and seeds.
        runs_miou: The mIoU of each run.
        deviation: Standard deviation of the mIoU over the runs; None for a single one.
        seeds_interval: 95 % t-interval of the mean over seeds, for these images; None for a single run.
        per_class: Its classes, in the order of class ids.
        boundary_miou: Mean of the boundary IoU; None if it was not measured for all its runs.
        calibration_error: Mean of the expected calibration error; None likewise.
        letters: Sides that share a letter are not separated.
        separated: Whether it is separated from the best side; false for the best one itself.
    """

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    recipe: str
    miou: Estimate
    runs_miou: tuple[float, ...]
    deviation: float | None
    seeds_interval: tuple[float, float] | None
    per_class: tuple[ClassScore, ...]
    boundary_miou: float | None = None
    calibration_error: float | None = None
    letters: str = ""
    separated: bool = False


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides against each other; differences are those of the second from the first.

    Attributes:
        first: Name of the first side.
        second: Name of the second side.
        miou: Difference of the mIoU, adjusted for the number of pairs.
        per_class: Difference of the IoU of each class by its name, adjusted for the number of classes.
    """

    first: str
    second: str
    miou: Estimate
    per_class: dict[str, Estimate]

    @property
    def verdict(self) -> str:
        """`b is better by 1.84 [0.92, 2.76]`, or that it is not known which one is; in points of percent."""
        said = signed(self.miou)
        if self.miou.interval is None:
            return f"{self.second} against {self.first}: mIoU {said}, without an interval"
        if not self.miou.separated or not self.miou.value:
            return f"not separated: {self.second} has {said} mIoU against {self.first}"
        better, worse = (self.second, self.first) if self.miou.value > 0 else (self.first, self.second)
        size = signed(self.miou if self.miou.value > 0 else _negated(self.miou))
        return f"{better} is better than {worse}: mIoU {size}"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs compared by the same images.

    Attributes:
        split: The split that they were scored on.
        protocol: The protocol that they were scored under.
        data_fingerprint: Fingerprint of the images and masks.
        images: Number of images.
        units: Number of what is drawn: of images, or of groups of images.
        resamples: Number of bootstrap samples.
        sides: What is compared, the best first.
        pairs: All pairs of sides, in the order in which they were named.
        remarks: What has to be known to read the numbers, as sentences.
    """

    split: str
    protocol: str
    data_fingerprint: str
    images: int
    units: int
    resamples: int
    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What is known, as a sentence."""
        if len(self.pairs) == 1:
            return self.pairs[0].verdict
        best = self.sides[0]
        if not self.pairs:
            return f"{best.name}: mIoU {in_percent(best.miou)} over {len(best.runs)} runs"
        rest = [side.name for side in self.sides[1:] if not side.separated]
        if not rest:
            return f"{best.name} is better than all others"
        return f"{best.name} has the highest mIoU; not separated from it: {names_in_words(rest)}"

    def plain(self) -> dict[str, Any]:
        """All of it for JSON, with what follows from the numbers: the verdict, and which differences are separated."""
        found = {"verdict": self.verdict, **msgspec.to_builtins(self)}
        for pair, plain in zip(self.pairs, found["pairs"], strict=True):
            plain["miou"]["separated"] = pair.miou.separated
            for name, change in pair.per_class.items():
                plain["per_class"][name]["separated"] = change.separated
        return found

    def __repr__(self) -> str:
        return line("Comparison", self.verdict)

    def _repr_html_(self) -> str:
        tables = [html_table(table.headings, table.rows, title=table.title) for table in self.tables()]
        return "".join([html_line(self.verdict), *tables, *map(html_line, self.remarks)])

    def tables(self) -> list[Table]:
        """The sides, the pairs if there are several, and the classes, as text: the same on every output."""
        found = [_sides_table(self)]
        if len(self.pairs) > 1:
            found.append(_pairs_table(self))
        found.append(_classes_table(self.pairs[0], self.sides) if len(self.pairs) == 1 else _side_classes(self.sides))
        return found


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table as text.

    Attributes:
        title: Line above it.
        headings: Headings of the columns; the first column names the rows.
        rows: Cells.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def signed(estimate: Estimate) -> str:
    """`+1.84 [0.92, 2.76]`, in points of percent; `n/a` if undefined."""
    if estimate.value is None:
        return NOT_AVAILABLE
    digits = digits_of(estimate.interval)
    return f"{100 * estimate.value:+.{digits}f}{_interval(estimate.interval, digits)}"


def digits_of(interval: tuple[float, float] | None) -> int:
    """Digits of points of percent: two, or as many as show that an interval does not hold zero."""
    if interval is None or interval[0] <= 0 <= interval[1]:
        return 2
    nearest = 100 * min(map(abs, interval))
    return next((digits for digits in range(2, _MOST_DIGITS) if round(nearest, digits)), _MOST_DIGITS)


def in_percent(estimate: Estimate) -> str:
    """`53.12 [50.10, 56.04]`; `n/a` if undefined."""
    return NOT_AVAILABLE if estimate.value is None else f"{percent(estimate.value)}{_interval(estimate.interval)}"


def _interval(interval: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if interval is None else f" [{percent(interval[0], digits)}, {percent(interval[1], digits)}]"


def _negated(one: Estimate) -> Estimate:
    interval = None if one.interval is None else (-one.interval[1], -one.interval[0])
    return msgspec.structs.replace(one, value=None if one.value is None else -one.value, interval=interval)


def _alone(estimate: Estimate) -> str:
    """An estimate without its interval."""
    return in_percent(msgspec.structs.replace(estimate, interval=None))


def _or_not(value: float | None) -> str:
    return "" if value is None else percent(value)


def _sides_table(found: Comparison) -> Table:
    several = any(len(side.runs) > 1 for side in found.sides)
    boundary = any(side.boundary_miou is not None for side in found.sides)
    calibration = any(side.calibration_error is not None for side in found.sides)
    columns: list[tuple[str, Iterable[str]]] = [
        ("", (side.name for side in found.sides)),
        ("mIoU %", (_alone(side.miou) for side in found.sides)),
        ("95 %", (_interval(side.miou.interval).strip(" []").replace(", ", " to ") for side in found.sides)),
    ]
    if several:
        columns += [
            ("runs", (str(len(side.runs)) for side in found.sides)),
            ("sd", (_or_not(side.deviation) for side in found.sides)),
        ]
    if boundary:
        columns.append(("boundary", (_or_not(side.boundary_miou) for side in found.sides)))
    if calibration:
        columns.append(("ECE", (_or_not(side.calibration_error) for side in found.sides)))
    if len(found.sides) > 2:
        columns.append(("letters", (side.letters for side in found.sides)))
    rows = itertools.zip_longest(*(tuple(cells) for _, cells in columns))
    title = f"{found.split}, {found.protocol}, {counted(found.images, 'image')}"
    return Table(title=title, headings=tuple(name for name, _ in columns), rows=tuple(rows))


def _pairs_table(found: Comparison) -> Table:
    rows = tuple(
        (f"{pair.second} - {pair.first}", signed(pair.miou), "separated" if pair.miou.separated else "not separated")
        for pair in found.pairs
    )
    return Table(title="differences of mIoU, in points", headings=("", "difference [95 %]", "after Holm"), rows=rows)


def _classes_table(pair: Pair, sides: tuple[Side, ...]) -> Table:
    by_name = {side.name: {one.name: one.iou for one in side.per_class} for side in sides}
    rows = tuple(
        (
            name,
            *(_alone(by_name[side][name]) for side in (pair.first, pair.second)),
            signed(change),
            "*" if change.separated else "",
        )
        for name, change in pair.per_class.items()
    )
    headings = ("class", pair.first, pair.second, "difference [95 %]", "")
    return Table(title="IoU %; * = separated after Holm's correction over the classes", headings=headings, rows=rows)


def _side_classes(sides: tuple[Side, ...]) -> Table:
    if len(sides) == 1:
        rows = tuple((one.name, in_percent(one.iou), _or_not(one.deviation)) for one in sides[0].per_class)
        return Table(title="IoU %", headings=("class", "mean [95 %]", "sd"), rows=rows)
    rows = tuple(
        (entries[0].name, *(_alone(one.iou) for one in entries))
        for entries in zip(*(side.per_class for side in sides), strict=True)
    )
    return Table(title="IoU %", headings=("class", *(side.name for side in sides)), rows=rows)
