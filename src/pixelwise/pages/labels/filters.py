"""Which images of a data set are shown, and in which order: kept in the address of the page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import numpy as np

from pixelwise.pages.labels.columns import Columns, Entries

ORDERS = {
    "name": "by split and name",
    "fit": "masks that fit least first",
    "share": "most pixels of the class first",
    "large": "largest images first",
    "small": "smallest images first",
}
"""Orders -> their names."""
OPACITIES = (0, 35, 65, 100)
"""Opacity of the labels over the images, in percent."""
USUAL = 65
MOST_CARDS = 60
"""Images on one page."""
MOST_SIZES = 8
"""With more sizes than these, images are told apart by their longest sides."""
_SIDES = (0, 256, 512, 1024, 2048, 4096, 8192)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for.

    Attributes:
        code: Code of a finding that the images have; empty for all.
        of: Id of a class that they show; None for all.
        split: Their split; empty for all.
        size: Their size, as in `sizes_of`; empty for all.
        text: A part of their ids, in any case.
        order: A key of `ORDERS`.
        first: Position of the first one on the page.
        labels: Opacity of the labels, one of `OPACITIES`.
    """

    code: str = ""
    of: int | None = None
    split: str = ""
    size: str = ""
    text: str = ""
    order: str = "name"
    first: int = 0
    labels: int = USUAL

    def query(self, **changes: Any) -> str:
        """The part of an address behind its `?`, with changes; empty for the defaults."""
        one = msgspec.structs.replace(self, **changes)
        pairs = (
            ("code", one.code),
            ("class", "" if one.of is None else one.of),
            ("split", one.split),
            ("size", one.size),
            ("text", one.text),
            ("order", "" if one.order == "name" else one.order),
            ("labels", "" if one.labels == USUAL else one.labels),
            ("first", one.first or ""),
        )
        return urlencode([(name, value) for name, value in pairs if value != ""], errors="surrogatepass")

    def toggled(self, field: str, value: object) -> str:
        """The query with a value of a field, or without it if the field has it already; from the first image on."""
        unset = None if field == "of" else ""
        return self.query(**{field: unset if getattr(self, field) == value else value, "first": 0})


def filter_of(query: Mapping[str, str], columns: Columns) -> Filter:
    """The filter that an address describes; what it does not know is ignored."""
    of, split, labels = query.get("class", ""), query.get("split", ""), query.get("labels", "")
    order = query.get("order", "")
    return Filter(
        code=query.get("code", "")[:16],
        of=None if (found := _number(of)) is None or found >= columns.number_of_classes else found,
        split=split if split in columns.splits else "",
        size=query.get("size", "")[:40],
        text=query.get("text", "")[:200].replace("\n", " "),
        order=order if order in ORDERS else "name",
        first=_number(query.get("first", "")) or 0,
        labels=int(labels) if labels in map(str, OPACITIES) else USUAL,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


class Choices(NamedTuple):
    """What can be chosen in the side column, each with the number of images that it would leave.

    Attributes:
        codes: Code -> number of images, in the order in which the codes were found.
        classes: Number of images that show a class, by class id.
        pixels: Number of pixels of a class in all chosen images, by class id.
        splits: Split -> number of images.
        sizes: Size or longest side -> number of images.
    """

    codes: dict[str, int]
    classes: list[int]
    pixels: list[int]
    splits: dict[str, int]
    sizes: dict[str, int]


class Chosen(NamedTuple):
    """The images that pass a filter.

    Attributes:
        rows: Their rows, in order.
        choices: What can be chosen.
    """

    rows: np.ndarray
    choices: Choices


def choose(columns: Columns, findings: Entries, wanted: Filter) -> Chosen:
    """The images that pass a filter, and what the other choices would leave.

    Args:
        columns: What is known of the images.
        findings: The findings of every image.
        wanted: The filter.
    """
    size_names, size_numbers = sizes_of(columns)
    passes = {
        "code": _having(columns, findings, wanted),
        "of": None if wanted.of is None else _among(columns.classes.rows_with(wanted.of), len(columns)),
        "split": columns.split == columns.splits.index(wanted.split) if wanted.split else None,
        "size": None if not wanted.size else _equal(size_names, size_numbers, wanted.size),
        "text": _among(columns.named(wanted.text), len(columns)) if wanted.text else None,
    }

    def without(field: str) -> np.ndarray:
        """Rows that pass the other filters, bool (N,)."""
        left = np.ones(len(columns), bool)
        for name, one in passes.items():
            if one is not None and name != field:
                left &= one
        return left

    passing = without("")
    rows, keys, pixels = columns.classes.read()
    shown, here = without("of")[rows], passing[rows]
    classes = np.bincount(keys[shown], minlength=columns.number_of_classes)
    # Numbers of pixels beyond 2^53 would be inexact; no data set has so many.
    areas = np.bincount(keys[here], weights=pixels[here], minlength=columns.number_of_classes)
    choices = Choices(
        codes=_codes(columns, findings, without("code")),
        classes=classes.tolist(),
        pixels=areas.astype(np.int64).tolist(),
        splits=_counted(columns.splits, columns.split[without("split")]),
        sizes={name: n for name, n in _counted(size_names, size_numbers[without("size")]).items() if n},
    )
    return Chosen(_ordered(columns, np.flatnonzero(passing), wanted), choices)


def sizes_of(columns: Columns) -> tuple[list[str], np.ndarray]:
    """Names of sizes, such as `640x480` (width, height), and which of them every image has; -1 if its size is unknown.

    Where there are many, they are ranges of the longest side, such as `513-1024`.
    """
    known = columns.heights > 0
    packed = columns.widths.astype(np.int64) << 32 | columns.heights
    values, numbers = np.unique(packed[known], return_inverse=True)
    if len(values) <= MOST_SIZES:
        names = [f"{value >> 32}x{value & 0xFFFFFFFF}" for value in values.tolist()]
    else:
        longest = np.maximum(columns.heights, columns.widths)[known]
        numbers = np.searchsorted(_SIDES, longest, side="left") - 1
        names = [f"{low + 1}-{high}" for low, high in itertools.pairwise(_SIDES)] + [f"{_SIDES[-1] + 1}-"]
    result = np.full(len(columns), -1, np.int64)
    result[known] = numbers
    return names, result


def _having(columns: Columns, findings: Entries, wanted: Filter) -> np.ndarray | None:
    if not wanted.code:
        return None
    key = columns.codes.index(wanted.code) if wanted.code in columns.codes else -1
    return _among(findings.rows_with(key) if key >= 0 else np.zeros(0, np.int64), len(columns))


def _among(rows: np.ndarray, number: int) -> np.ndarray:
    result = np.zeros(number, bool)
    result[rows] = True
    return result


def _equal(names: list[str], numbers: np.ndarray, wanted: str) -> np.ndarray:
    return numbers == (names.index(wanted) if wanted in names else len(names))


def _codes(columns: Columns, findings: Entries, left: np.ndarray) -> dict[str, int]:
    rows, keys, _ = findings.read()
    codes = list(columns.codes)
    numbers = np.bincount(keys[left[rows]], minlength=len(codes)).tolist()
    return dict(zip(codes, numbers, strict=False))


def _counted(names: list[str] | tuple[str, ...], numbers: np.ndarray) -> dict[str, int]:
    counts = np.bincount(numbers[numbers >= 0], minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=True))


def _ordered(columns: Columns, rows: np.ndarray, wanted: Filter) -> np.ndarray:
    """Rows in an order; those without a value come last, and equal ones by their positions."""
    by: dict[str, Callable[[], np.ndarray]] = {
        "fit": lambda: columns.fits[rows],
        "share": lambda: -_shares(columns, rows, wanted.of),
        "large": lambda: -_areas(columns, rows),
        "small": lambda: _areas(columns, rows),
    }
    value = by.get(wanted.order)
    return rows if value is None else rows[np.argsort(value(), kind="stable")]


def _areas(columns: Columns, rows: np.ndarray) -> np.ndarray:
    areas = columns.heights[rows].astype(np.float64) * columns.widths[rows]
    return np.where(areas > 0, areas, np.nan)


def _shares(columns: Columns, rows: np.ndarray, of: int | None) -> np.ndarray:
    """Share of the pixels of a class; of all labelled ones without a class."""
    labelled, keys, pixels = columns.classes.read()
    if of is not None:
        labelled, pixels = labelled[keys == of], pixels[keys == of]
    sums = np.bincount(labelled, weights=pixels, minlength=len(columns))
    return sums[rows] / _areas(columns, rows)
