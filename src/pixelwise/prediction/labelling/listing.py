"""`queue.json`: the images in the order in which correcting them pays, with the reasons for their places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.prediction.labelling.ordering import Place, ordered
from pixelwise.prediction.labelling.signals import Signals
from pixelwise.storage import json_text, write_text

QUEUE = "queue.json"


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the queue.

    Attributes:
        image: File of the image, relative to the folder.
        mask: File of its mask.
        score: What its place follows from: uncertainty times distance.
        uncertainty: Mean normalised entropy of its pixels, 0..1.
        margin: Mean difference between the two highest probabilities of a pixel, 0..1.
        open: Share of its pixels that are left open, 0..1.
        distance: Distance to the nearest image before it, 1 at the typical distance; None if there is none.
        nearest: That image; None if there is none.
        reasons: Why it has this place, as sentences.
    """

    image: str
    mask: str
    score: float
    uncertainty: float
    margin: float
    open: float
    distance: float | None
    nearest: str | None
    reasons: tuple[str, ...]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `queue.json`.

    Attributes:
        sure: Probability from which on pixels were kept.
        corrected: Number of images that were corrected already and have no place.
        images: The others, those to correct first at the beginning.
    """

    sure: float
    corrected: int
    images: tuple[Queued, ...]


class Numbers(NamedTuple):
    """What the summary says of all pre-labels that were not corrected: their pixels, and those with a label."""

    pixels: int
    kept: int
    queued: int


def write_queue(
    output: Path, classes: Sequence[str], waiting: Sequence[Signals], corrected: Sequence[Signals], sure: float
) -> Numbers:
    """Write the queue of the images that wait for correction; returns the numbers of all of them.

    Args:
        output: The folder.
        classes: Class names.
        waiting: Signals of these images.
        corrected: Signals of the images that were corrected, which are not asked for again, nor their like.
        sure: Probability from which on pixels were kept.

    Raises:
        ResourceError: S601, the disk is full.
    """
    every = [*waiting, *corrected]
    width = max((len(one.features) for one in every), default=0)
    features = np.zeros((len(every), width))
    for row, one in zip(features, every, strict=True):
        row[: len(one.features)] = one.features
    order = ordered([one.uncertainty for one in waiting], features[: len(waiting)], features[len(waiting) :])
    images = tuple(_queued(place, every, classes) for place in order)
    write_text(output / QUEUE, json_text(Queue(sure=sure, corrected=len(corrected), images=images)))
    return Numbers(sum(one.pixels for one in waiting), sum(one.kept for one in waiting), len(images))


def _queued(place: Place, every: Sequence[Signals], classes: Sequence[str]) -> Queued:
    one = every[place.image]
    share = 1 - one.kept / one.pixels if one.pixels else 0.0
    nearest = every[place.nearest].image if place.nearest is not None else None
    reasons = [f"Mean entropy of its pixels: {100 * one.uncertainty:.1f} % of the largest possible."]
    if one.between is not None:
        first, second = (classes[number] for number in one.between)
        reasons.append(
            f"{100 * share:.1f} % of its pixels are open; {100 * one.share_between:.0f} % of these are undecided "
            f"between {first} and {second}."
        )
    if place.distance is not None:
        reasons.append(
            f"To the network it is {place.distance:.2f} times as far from {nearest}, the nearest before it, as images "
            "are from each other on average."
        )
    return Queued(
        image=one.image,
        mask=one.mask,
        score=float(f"{place.score:.5g}"),
        uncertainty=one.uncertainty,
        margin=one.margin,
        open=float(f"{share:.5g}"),
        distance=None if place.distance is None else float(f"{place.distance:.5g}"),
        nearest=nearest,
        reasons=tuple(reasons),
    )
