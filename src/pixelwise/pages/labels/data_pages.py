"""What the pages of a data set show: the grid with its side column, one image, alike images, label mistakes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelwise.datasets.auditing.examination import relative_name
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import format_color
from pixelwise.datasets.samples import Sample
from pixelwise.pages.labels.filters import (
    MOST_CARDS,
    OPACITIES,
    ORDERS,
    USUAL,
    Choices,
    Chosen,
    Filter,
    choose,
)
from pixelwise.pages.labels.mistakes import Doubts
from pixelwise.pages.labels.pictures import os_state
from pixelwise.pages.labels.survey import Opened, Survey, fit_of
from pixelwise.pages.labels.twins import KINDS
from pixelwise.reports.numbers import count, share
from pixelwise.storage import printable, sha256_bytes

MOST_PAIRS = 24
"""Pairs of alike images, or regions, on one page."""
MOST_CLASSES = 40
"""Classes in the side column that are shown at once; further ones are in a list that opens."""


class Card(NamedTuple):
    """An image in a list.

    Attributes:
        row: Its row.
        id: Its id.
        split: Its split.
        stamp: Changes when one of its files does.
        codes: Codes of its findings.
    """

    row: int
    id: str
    split: str
    stamp: str
    codes: list[str]


class Item(NamedTuple):
    """A choice in the side column.

    Attributes:
        key: Tells it from others on the page.
        label: What is chosen.
        images: Number of images, as text.
        href: Where it leads.
        chosen: Whether it is chosen.
        note: What it means.
        color: Its colour; empty if it has none.
        part: Length of its bar in percent; None without one.
    """

    key: str
    label: str
    images: str
    href: str
    chosen: bool
    note: str = ""
    color: str = ""
    part: int | None = None


def stamp_of(sample: Sample) -> str:
    """Changes when a file of a pair changes, so that browsers keep pictures until then."""
    states = [os_state(path)[1] for path in (sample.image_path, *sample.mask_files)]
    return sha256_bytes(" ".join(states).encode())[:10]


def card_of(opened: Opened, row: int) -> Card:
    """The card of a row."""
    split, sample = opened.columns.place(row)
    return Card(row, sample.id, split, stamp_of(sample), codes_at(opened, row))


def codes_at(opened: Opened, row: int) -> list[str]:
    """Codes of the findings of a row that the audit reports, errors first."""
    codes = [opened.columns.codes[key] for key in opened.findings.of(row)]
    return sorted((code for code in codes if _is_reported(opened, code)), key=_severity)


def grid_values(survey: Survey, opened: Opened, wanted: Filter) -> dict[str, Any]:
    """What the grid and its side column show."""
    chosen = choose(opened.columns, opened.findings, wanted)
    number = len(chosen.rows)
    first = min(wanted.first, max(0, number - 1)) // MOST_CARDS * MOST_CARDS
    base = f"/data/{survey.id}"

    def at(query: str) -> str:
        return f"{base}?{query}" if query else base

    return {
        **common_values(survey, opened, wanted),
        "cards": [card_of(opened, row) for row in chosen.rows[first : first + MOST_CARDS].tolist()],
        "number": count(number),
        "total": count(len(opened.columns)),
        "shown": (first + 1, min(number, first + MOST_CARDS)) if number else None,
        "before": at(wanted.query(first=first - MOST_CARDS)) if first else None,
        "after": at(wanted.query(first=first + MOST_CARDS)) if first + MOST_CARDS < number else None,
        "facets": _facets(opened, wanted, chosen.choices, lambda field, value: at(wanted.toggled(field, value))),
        "orders": {key: title for key, title in ORDERS.items() if key != "share" or wanted.of is not None},
        "opacities": [(value, at(wanted.query(labels=value))) for value in OPACITIES],
        "reset": base if wanted.query(first=0, order="name", labels=USUAL) else None,
        "overall": _overall(opened),
        "unlabelled": opened.unlabelled,
        "alike": sum(map(len, opened.twins.values())),
    }


def common_values(survey: Survey, opened: Opened, wanted: Filter) -> dict[str, Any]:
    """What all pages of a data set need."""
    return {
        "survey": survey,
        "standing": opened.standing,
        "wanted": wanted,
        "query": wanted.query(),
        "classes": opened.dataset.classes,
        "layout": opened.dataset.layout,
    }


def _facets(
    opened: Opened, wanted: Filter, choices: Choices, leads: Callable[[str, object], str]
) -> list[tuple[str, list[Item], list[Item]]]:
    """Title, choices and further choices of every part of the side column."""
    texts = {one.code: one.message for one in reversed(opened.about)}
    codes = [
        Item(f"code-{code}", code, count(number), leads("code", code), wanted.code == code, texts.get(code, ""))
        for code, number in sorted(choices.codes.items(), key=lambda item: _severity(item[0]))
        if (number or wanted.code == code) and _is_reported(opened, code)
    ]
    if wanted.code and not any(item.chosen for item in codes):
        codes.append(Item("code", wanted.code, "0", leads("code", wanted.code), True))
    splits = [
        Item(f"split-{number}", name, count(images), leads("split", name), wanted.split == name)
        for number, (name, images) in enumerate(choices.splits.items())
    ]
    sizes = [
        Item(f"size-{name}", name, count(images), leads("size", name), wanted.size == name)
        for name, images in choices.sizes.items()
    ]
    if wanted.size and not any(item.chosen for item in sizes):
        sizes.append(Item("size", wanted.size, "0", leads("size", wanted.size), True))
    classes = _class_items(opened, wanted, choices, leads)
    facets = [
        ("Findings", codes, []),
        ("Classes", classes[:MOST_CLASSES], classes[MOST_CLASSES:]),
        ("Splits", splits, []),
        ("Sizes" if sizes and "x" in sizes[0].label else "Longest side, px", sizes, []),
    ]
    return [facet for facet in facets if facet[1]]


def _class_items(opened: Opened, wanted: Filter, choices: Choices, leads: Callable[[str, object], str]) -> list[Item]:
    labelled, most = sum(choices.pixels), max(choices.pixels, default=0)
    return [
        Item(
            f"class-{id}",
            name,
            count(choices.classes[id]),
            leads("of", id),
            wanted.of == id,
            f"{share(choices.pixels[id] / labelled)} % of the labelled pixels" if labelled else "",
            format_color(color),
            _part(choices.pixels[id], most),
        )
        for id, (name, color) in enumerate(zip(opened.dataset.classes, opened.dataset.palette, strict=True))
    ]


def _part(pixels: int, most: int) -> int:
    """Percent of the longest bar; a class that is there has a bar that can be seen."""
    return 0 if not pixels else max(1, round(100 * pixels / most))


def _overall(opened: Opened) -> list[Finding]:
    """Findings that no single image has: about the data set, or about files that are not part of it."""
    rows, keys, _ = opened.findings.read()
    of_images = {opened.columns.codes[key] for key in np.unique(keys).tolist()} if len(rows) else set()
    return [one for one in opened.about if one.code not in of_images]


def _is_reported(opened: Opened, code: str) -> bool:
    """Whether the audit reports a code; it leaves out what a finding about all masks explains."""
    return opened.audit is None or any(one.code == code for one in opened.audit.findings)


def _severity(code: str) -> tuple[bool, str]:
    return code.startswith("W"), code


def neighbours(opened: Opened, wanted: Filter, row: int) -> tuple[Chosen, int | None]:
    """The images that pass a filter, and the position of a row among them; None if it does not pass."""
    chosen = choose(opened.columns, opened.findings, wanted)
    places = np.flatnonzero(chosen.rows == row)
    return chosen, int(places[0]) if len(places) else None


def image_values(survey: Survey, opened: Opened, wanted: Filter, row: int) -> dict[str, Any]:
    """What the page of an image shows besides its pictures.

    Raises:
        IndexError: There is no such image.
    """
    columns, dataset = opened.columns, opened.dataset
    split, sample = columns.place(row)
    chosen, here = neighbours(opened, wanted, row)
    pixels = columns.classes.of(row)
    labelled = sum(pixels.values())
    partner = columns.partners.get(row)
    first = (here or 0) // MOST_CARDS * MOST_CARDS
    twins = [
        (KINDS[kind], twin, twin.second if twin.first == row else twin.first)
        for kind, some in opened.twins.items()
        for twin in some
        if row in twin[:2]
    ]
    return {
        **common_values(survey, opened, wanted),
        "row": row,
        "here": f"/data/{survey.id}/image/{row}",
        "id": sample.id,
        "split": split,
        "files": [relative_name(path, dataset.root) for path in (sample.image_path, *sample.mask_files)],
        "stamp": stamp_of(sample),
        "rank": None if here is None else count(here + 1),
        "number": count(len(chosen.rows)),
        "before": None if not here else int(chosen.rows[here - 1]),
        "after": None if here is None or here + 1 == len(chosen.rows) else int(chosen.rows[here + 1]),
        "shares": [
            (id, dataset.classes[id], format_color(dataset.palette[id]), share(pixels[id] / labelled))
            for id in sorted(pixels, key=lambda id: -pixels[id])
        ],
        "known": int(columns.heights[row]) > 0,
        "fit": fit_of(columns, row),
        "partner": None if partner is None else card_of(opened, partner),
        "twins": [(title, twin.bits, card_of(opened, other)) for title, twin, other in twins],
        "grid_query": wanted.query(first=first, labels=USUAL),
        "opacity_links": [
            (value, f"/data/{survey.id}/image/{row}?{wanted.query(labels=value)}") for value in OPACITIES
        ],
    }


def duplicates_values(survey: Survey, opened: Opened, wanted: Filter, kind: str) -> dict[str, Any]:
    """What the page of images that are alike shows.

    Args:
        survey: The data set.
        opened: What is known of it.
        wanted: The filter of the address, of which `first` and `labels` count.
        kind: A key of `KINDS`; another text stands for the first kind that has pairs.
    """
    kind = kind if kind in KINDS else next((one for one in KINDS if opened.twins[one]), next(iter(KINDS)))
    pairs = opened.twins[kind]
    first = min(wanted.first, max(0, len(pairs) - 1)) // MOST_PAIRS * MOST_PAIRS
    return {
        **common_values(survey, opened, wanted),
        "kind": kind,
        "kinds": [(key, title, count(len(opened.twins[key]))) for key, title in KINDS.items()],
        "pairs": [
            (twin.bits, card_of(opened, twin.first), card_of(opened, twin.second))
            for twin in pairs[first : first + MOST_PAIRS]
        ],
        "number": len(pairs),
        "before": first - MOST_PAIRS if first else None,
        "after": first + MOST_PAIRS if first + MOST_PAIRS < len(pairs) else None,
    }


def mistakes_values(survey: Survey, opened: Opened, wanted: Filter, doubts: list[Doubts], entry: str) -> dict[str, Any]:
    """What the page of label mistakes shows.

    Args:
        survey: The data set.
        opened: What is known of it.
        wanted: The filter of the address, of which `first` counts.
        doubts: What results on the data set doubt.
        entry: Id of the result that is shown; another text stands for the first one.
    """
    here = next((one for one in doubts if one.entry.id == entry), doubts[0] if doubts else None)
    regions = [] if here is None else here.regions
    first = min(wanted.first, max(0, len(regions) - 1)) // MOST_PAIRS * MOST_PAIRS
    shown = [
        (card_of(opened, row), one, share(one.confidence), count(one.pixels), box_of(one))
        for row, one in regions[first : first + MOST_PAIRS]
    ]
    return {
        **common_values(survey, opened, wanted),
        "doubts": doubts,
        "here": here,
        "shown": shown,
        "number": count(len(regions)),
        "before": first - MOST_PAIRS if first else None,
        "after": first + MOST_PAIRS if first + MOST_PAIRS < len(regions) else None,
        "folder": _as_argument(survey.path),
    }


def box_of(one: Any) -> str:
    """A region as addresses have it: left, top, width and height of its box, then width and height of its image."""
    return "-".join(map(str, (one.x, one.y, one.width, one.height, one.image_width, one.image_height)))


def _as_argument(path: Path) -> str:
    return shlex.quote(printable(path))
