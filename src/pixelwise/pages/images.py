"""The images of a result in an order and by filters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pixelwise.pages.evaluated import Opened, scores_of
from pixelwise.reports.numbers import percent

ORDERS = {"worst": "lowest mIoU first", "best": "highest mIoU first", "name": "by name"}
MOST_CARDS = 60
"""Images on one page."""


class Card(NamedTuple):
    """An image in a list: its position in the split, its id, and its score in percent, as text."""

    place: int
    id: str
    score: str


class Filter(NamedTuple):
    """Which images are listed, and in which order.

    Attributes:
        order: A key of `ORDERS`.
        text: A part of their ids, in any case.
        of: Id of the class whose IoU they are sorted by and that they have; None for the mean IoU.
        first: Position of the first one in the list.
    """

    order: str = "worst"
    text: str = ""
    of: int | None = None
    first: int = 0


def filter_of(query: Mapping[str, str], classes: int) -> Filter:
    """The filter that an address describes; what it does not know is ignored."""
    of, first = query.get("class", ""), query.get("first", "")
    return Filter(
        order=query["order"] if query.get("order") in ORDERS else "worst",
        text=query.get("text", "")[:200],
        of=int(of) if of.isascii() and of.isdecimal() and len(of) < 7 and int(of) < classes else None,
        first=int(first[:9]) if first.isascii() and first.isdecimal() else 0,
    )


def cards_of(opened: Opened, wanted: Filter) -> list[Card]:
    """All images that pass a filter, in its order; images without a score come last."""
    rated: list[tuple[float, Card]] = []
    for place, score in enumerate(scores_of(opened)):
        value = score.miou
        if wanted.of is not None:
            iou = score.iou[wanted.of] if wanted.of < len(score.iou) else None
            if iou is None:
                continue
            value = iou
        if wanted.text.lower() in score.id.lower():
            rated.append((value, Card(place, score.id, percent(value, 1))))
    if wanted.order == "name":
        return [card for _, card in sorted(rated, key=lambda one: one[1].id)]
    sign = 1 if wanted.order == "worst" else -1
    ordered = sorted(rated, key=lambda one: (math.isnan(one[0]), 0 if math.isnan(one[0]) else sign * one[0], one[1].id))
    return [card for _, card in ordered]
