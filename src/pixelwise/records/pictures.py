"""`pictures/`: what a training looks at, for the live page: its first augmented batch, and a few images as predicted.

A picture is a photo (WebP) with layers of the same size over it: the colours of the classes, transparent where
nothing is labelled. The files are listed in `pictures.json`, which is written last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text

PICTURES = "pictures"
LISTING = "pictures.json"
MOST_MOMENTS = 24
"""Largest number of evaluations whose predictions are kept."""
_PLAIN_NAME = re.compile(r"[\w-]+\.webp")


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An image and its labels.

    Attributes:
        id: Sample id.
        height: Height of the photo and its layers in pixels.
        width: Width of the photo and its layers in pixels.
        photo: File name of the image as the network sees it.
        labels: File name of the layer with the true labels.
    """

    id: str
    height: int
    width: int
    photo: str
    labels: str


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The predictions of an evaluation.

    Attributes:
        step: Number of steps done at that time.
        layers: File name of the layer with the predicted classes, for each of `Pictures.images`.
    """

    step: int
    layers: tuple[str, ...]


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `pictures.json`.

    Attributes:
        batch: Images of the first batch, augmented.
        split: Split of the images that are predicted.
        images: Images that are predicted at every evaluation.
        moments: Their predictions, in the order of the steps; at most `MOST_MOMENTS`.
    """

    batch: tuple[Picture, ...] = ()
    split: str = ""
    images: tuple[Picture, ...] = ()
    moments: tuple[Moment, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Names of all files."""
        pictures = [name for one in (*self.batch, *self.images) for name in (one.photo, one.labels)]
        return (*pictures, *(name for moment in self.moments for name in moment.layers))


def read_pictures(run: Path) -> Pictures:
    """The pictures of a run; none if there are none, or if the list is damaged or names files elsewhere."""
    try:
        found = read_json(run / PICTURES / LISTING, Pictures)
    except PixelwiseError:
        return Pictures()
    plain = all(_PLAIN_NAME.fullmatch(name) for name in found.names())
    whole = all(len(moment.layers) == len(found.images) for moment in found.moments)
    return found if plain and whole else Pictures()


def write_pictures(run: Path, pictures: Pictures) -> None:
    """Write the list, then remove the files of moments that it no longer names.

    Raises:
        ResourceError: S601, the disk is full.
    """
    before = read_pictures(run).names()
    write_text(run / PICTURES / LISTING, json_text(pictures))
    for name in set(before) - set(pictures.names()):
        (run / PICTURES / name).unlink(missing_ok=True)


def forget_after(run: Path, step: int) -> None:
    """Remove the predictions made after a restored state, because a killed run may have drawn more than it saved.

    Args:
        run: Run folder.
        step: Step of the last evaluation to keep.
    """
    found = read_pictures(run)
    kept = tuple(moment for moment in found.moments if moment.step <= step)
    if kept != found.moments:
        write_pictures(run, msgspec.structs.replace(found, moments=kept))


def spread(steps: Sequence[int], most: int = MOST_MOMENTS) -> list[int]:
    """At most `most` of the steps, evenly spread: first and last stay; those that leave the smallest gaps go.

    Args:
        steps: Steps in ascending order.
        most: Number of steps to keep, at least 2.
    """
    kept = list(steps)
    while len(kept) > most:
        gaps = [kept[place + 1] - kept[place - 1] for place in range(1, len(kept) - 1)]
        del kept[1 + gaps.index(min(gaps))]
    return kept
