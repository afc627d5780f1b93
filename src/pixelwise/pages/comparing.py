"""The page of two results held against each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.errors import DataError
from pixelwise.evaluation.comparing import RunComparison, compare, paired
from pixelwise.evaluation.comparison.comparison import digits_of
from pixelwise.pages.catalog import Refused
from pixelwise.pages.evaluated import Gallery, Opened, scores_of
from pixelwise.pages.result_pages import colors_of
from pixelwise.records.evaluations import question
from pixelwise.records.result import Result
from pixelwise.records.scores import ImageScore
from pixelwise.records.showing import units_in_words
from pixelwise.reports.numbers import NOT_AVAILABLE, percent
from pixelwise.storage.series import LARGEST_DRAWN, series_of

MOST_IMAGES = 6
"""Images that are shown as won, and as lost."""


class Side(NamedTuple):
    """The images of one of the results.

    Attributes:
        places: Id of an image -> its position in the split.
        kept: Ids of the images whose pictures the run folder keeps.
    """

    places: dict[str, int]
    kept: frozenset[str]


class Changed(NamedTuple):
    """An image that one result segments better: its difference as text, its positions in both, and if it is shown."""

    id: str
    difference: str
    ours: int
    theirs: int
    shown: bool


def signed(fraction: float, digits: int = 2) -> str:
    """`0.0184` -> `+1.84`, with a minus sign for losses; `n/a` for NaN."""
    return NOT_AVAILABLE if math.isnan(fraction) else f"{100 * fraction:+.{digits}f}".replace("-", "\u2212")


def compared(ours: Opened, theirs: Opened) -> RunComparison:
    """The comparison of two results, with the scores of their images.

    Raises:
        DataError: D240, one of them has not been scored, or is of an exported artefact.
    """
    first, second = _with_images(ours), _with_images(theirs)
    if ours.records is None or theirs.records is None:
        name = ours.entry.name if ours.records is None else theirs.entry.name
        raise DataError("D240", f"{name}: results of exported artefacts have no recipe", "compare the runs")
    recipes = ours.records.recipe, theirs.records.recipe
    return compare((ours.entry.name, theirs.entry.name), (first, second), recipes, _folders(ours, theirs))


def comparison_values(ours: Opened, theirs: Opened, gallery: Gallery) -> dict[str, Any]:
    """What the page shows; differences are those of the first result from the second.

    Raises:
        DataError: As `compared`.
    """
    found = compared(ours, theirs)
    sides = _side(ours, gallery), _side(theirs, gallery)
    largest = max([abs(change) for change in found.per_class.values()], default=0.0)
    iou = [{entry.name: entry.iou for entry in result.per_class} for result in found.results]
    return {
        "ours": ours.entry,
        "theirs": theirs.entry,
        "found": found,
        "verdict": verdict_of(found),
        "miou": [percent(result.miou) for result in found.results],
        "difference": signed(found.miou),
        "miou_interval": _to(found.pair.miou.interval if found.pair else None),
        "drawn": _drawn(found),
        "per_image": signed(found.image_miou),
        "interval": _to(found.image_interval),
        "equal": len(found.images) - found.better - found.worse,
        "classes": [
            (
                name,
                percent(iou[0][name]),
                percent(iou[1][name]),
                signed(change),
                "*" if found.pair is not None and found.pair.per_class[name].separated else "",
                _part(change, largest),
                change < 0,
            )
            for name, change in sorted(found.per_class.items(), key=lambda one: one[1])
        ],
        "lost": _images(sides, found, won=False),
        "won": _images(sides, found, won=True),
    }


def place_in(ours: Opened, theirs: Opened, place: int) -> int:
    """Position of an image of the first result among those of the second one.

    Raises:
        IndexError: There is no such image in one of them.
    """
    id = _score_at(ours, place).id
    found = next((position for position, one in enumerate(scores_of(theirs)) if one.id == id), None)
    if found is None:
        raise IndexError
    return found


def image_values(
    ours: Opened, theirs: Opened, places: tuple[int, int], gallery: Gallery, *, only_kept: bool
) -> dict[str, Any]:
    """What the page of one image of two results shows.

    Args:
        ours: The first result.
        theirs: The second one.
        places: Position of the image in each of them.
        gallery: The images of results.
        only_kept: Whether nothing is said about pictures that the run folders do not keep: the image is shown in tiles.
    """
    score, second = scores_of(ours)[places[0]], scores_of(theirs)[places[1]]
    order = list(paired(scores_of(ours), scores_of(theirs)))
    here = order.index(score.id) if score.id in order else None
    mine = {one.id: position for position, one in enumerate(scores_of(ours))}
    return {
        "ours": ours.entry,
        "theirs": theirs.entry,
        "id": score.id,
        "places": places,
        "miou": [percent(score.miou), percent(second.miou)],
        "difference": signed(score.miou - second.miou),
        "before": mine[order[here - 1]] if here else None,
        "after": mine[order[here + 1]] if here is not None and here + 1 < len(order) else None,
        "rank": None if here is None else here + 1,
        "number": len(order),
        **_pictures((ours, places[0]), (theirs, places[1]), gallery, only_kept=only_kept),
    }


def _score_at(opened: Opened, place: int) -> ImageScore:
    scores = scores_of(opened)
    if not 0 <= place < len(scores):
        raise IndexError
    return scores[place]


def _pictures(
    first: tuple[Opened, int], second: tuple[Opened, int], gallery: Gallery, *, only_kept: bool
) -> dict[str, Any]:
    """Whether both have pictures of an image that fit each other, or why not, and the colours of the classes."""
    legend = list(colors_of(first[0]).items())
    if only_kept and not all(gallery.keeps(*one) for one in (first, second)):
        return {"shown": False, "reason": "", "legend": legend}
    try:
        pictures = [gallery.shown(*one) for one in (first, second)]
    except Refused as refused:
        return {"shown": False, "reason": str(refused), "legend": legend}
    seen = {value for one in pictures for layer in (one.truth, one.prediction) for value in np.unique(layer).tolist()}
    legend = [entry for index, entry in enumerate(legend) if index in seen]
    return {"shown": True, "reason": "", "legend": legend}


def _drawn(found: RunComparison) -> str:
    """What the intervals are over; results of earlier versions do not say it themselves."""
    ids = [one.id for one in found.results[0].per_image]
    return units_in_words(len(set(series_of(ids, LARGEST_DRAWN).values())), len(ids))


def verdict_of(found: RunComparison) -> str:
    """Which of the two is better, as a sentence, and whether the images suffice to say so."""
    first, second = found.names
    if question(found.results[0]) != question(found.results[1]):
        return "Their scores answer different questions, so neither is called better."
    # Without counts of single images, the mean over the images is all that has an interval.
    interval, what = (found.image_interval, "mean over the images") if found.pair is None else (
        found.pair.miou.interval, "difference")  # fmt: skip
    if interval is None:
        return "No two images were scored by both, so nothing is said about the difference."
    low, high = interval
    if low > 0:
        return f"{first} is better: the interval of the {what} is above zero."
    if high < 0:
        return f"{second} is better: the interval of the {what} is below zero."
    return f"These images do not tell which one is better: the interval of the {what} contains zero."


def _with_images(opened: Opened) -> Result:
    return msgspec.structs.replace(opened.result, per_image=scores_of(opened))


def _folders(ours: Opened, theirs: Opened) -> tuple[Path, Path] | None:
    first, second = ours.entry.evaluation, theirs.entry.evaluation
    return None if first is None or second is None else (first, second)


def _side(opened: Opened, gallery: Gallery) -> Side:
    places = {score.id: place for place, score in enumerate(scores_of(opened))}
    return Side(places, frozenset(gallery.kept(opened).samples))


def _to(interval: tuple[float, float] | None) -> str:
    return " to ".join(signed(end, digits_of(interval)) for end in interval or ())


def _part(change: float, largest: float) -> int:
    """Width of a bar in percent."""
    return round(100 * abs(change) / largest) if largest else 0


def _images(sides: tuple[Side, Side], found: RunComparison, *, won: bool) -> list[Changed]:
    """The images with the largest gains or losses."""
    ordered = list(found.images.items())  # the largest loss first
    changed = [(id, change) for id, change in (reversed(ordered) if won else ordered) if (change > 0) == won and change]
    first, second = sides
    return [
        Changed(id, signed(change), first.places[id], second.places[id], id in first.kept and id in second.kept)
        for id, change in changed[:MOST_IMAGES]
    ]
