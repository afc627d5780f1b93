"""The wrong pixels of an image: each of one kind, in connected regions, cut out as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from pixelwise.evaluation.details import near_border
from pixelwise.pages.pictures import Shown
from pixelwise.recipes.class_sets.tables import IGNORE, Color

KINDS = {
    "boundary": "boundary band",
    "missed": "missed segment",
    "invented": "invented segment",
    "confused": "confused classes",
}
"""Kinds of errors -> their titles. Their numbers in a map of kinds begin with 1; 0 is not wrong."""
MEANINGS = {
    "boundary": "within 5 px of a border between two true classes",
    "missed": "in a labelled region of which less than half was found, and which was given to a region that is right "
    "elsewhere",
    "invented": "in a predicted region of which less than half is right, within a labelled region that was found",
    "confused": "everything else: a region that was found at its place as another class, or a part of one",
}
COLORS: tuple[Color, ...] = ((43, 131, 222), (230, 97, 1), (178, 60, 190), (200, 150, 0))
"""Blue, orange, purple and amber, in the order of `KINDS`."""
_MARK: Color = (255, 225, 77)
_CLEAR = 255
SMALLEST_CROP = 96
"""Least width and height of a picture that is cut out, in pixels of the image, unless that is smaller."""
LARGEST_CROP = 512


class Region(NamedTuple):
    """A connected region of wrong pixels: its box and its number of pixels."""

    top: int
    left: int
    height: int
    width: int
    pixels: int


def kinds_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The kind of error of every pixel, uint8 (H, W): 0 where it is right or ignored, else a number of `KINDS`.

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids, uint8 (H, W).
    """
    return composed_kinds(truth, prediction, near_border(truth), region_kinds(truth, prediction))


def region_kinds(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The kind of error that every pixel has if it is wrong and away from borders, uint8 (H, W); see `kinds_of`."""
    found = np.where(truth != IGNORE, prediction, np.uint8(IGNORE))
    lost, false = _mostly_elsewhere(truth, found), _mostly_elsewhere(found, truth)
    return np.select([lost & ~false, false & ~lost], [2, 3], default=4).astype(np.uint8)


def composed_kinds(truth: np.ndarray, prediction: np.ndarray, near: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The kind of error of every pixel, as `kinds_of`.

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids, uint8 (H, W).
        near: Which pixels are near a border between two true classes, bool (H, W).
        regions: The kind of every pixel that is wrong and away from borders, as `region_kinds`.
    """
    right = (truth == IGNORE) | (truth == prediction)
    return np.where(right, np.uint8(0), np.where(near, np.uint8(1), regions))


def _mostly_elsewhere(labels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which pixels belong to a connected region of which less than half has the same class in `other`, bool (H, W)."""
    marked = np.zeros(labels.shape, bool)
    for class_id in np.unique(labels[labels != IGNORE]).tolist():
        number, ids = cv2.connectedComponents((labels == class_id).view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        sizes = np.bincount(ids.ravel(), minlength=number)
        same = np.bincount(ids[other == class_id], minlength=number)
        lost = 2 * same < sizes
        lost[0] = False
        marked |= lost[ids]
    return marked


def mask_of(shown: Shown, what: str) -> np.ndarray:
    """Which pixels of an image are meant, bool (H, W).

    Args:
        shown: The image.
        what: A kind of error, or a cell of the confusion matrix as `TRUTH-PREDICTION` in class ids.
    """
    if what in KINDS:
        return kinds_of(shown.truth, shown.prediction) == list(KINDS).index(what) + 1
    truth, prediction = map(int, what.split("-"))
    return (shown.truth == truth) & (shown.prediction == prediction)


def regions_of(mask: np.ndarray) -> list[Region]:
    """The connected regions (8 neighbours) of a mask, the largest first; of equal ones the upper one."""
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    found = [Region(top, left, height, width, pixels) for left, top, width, height, pixels in boxes[1:].tolist()]
    return sorted(found, key=lambda region: (-region.pixels, region.top, region.left))


def crop(shown: Shown, mask: np.ndarray, region: Region) -> bytes:
    """A JPEG of a region with what is around it; the mask's pixels are framed.

    Args:
        shown: The image.
        mask: The pixels that are meant, bool (H, W).
        region: The region to show.
    """
    rows = _span(region.top, region.height, shown.truth.shape[0])
    columns = _span(region.left, region.width, shown.truth.shape[1])
    photo = np.ascontiguousarray(shown.photo[rows, columns])
    factor = max(1, round(2 * SMALLEST_CROP / max(photo.shape[:2])))
    photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    inside = np.repeat(np.repeat(mask[rows, columns].astype(np.uint8), factor, 0), factor, 1)
    outlines, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(photo, outlines, -1, (0, 0, 0), 3)
    cv2.drawContours(photo, outlines, -1, _MARK, 1)
    scale = LARGEST_CROP / max(photo.shape[:2])
    if scale < 1:
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Pillow would copy the picture twice before it encodes it, which takes as long as encoding.
    _, content = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 85))
    return content.tobytes()


def kinds_png(kinds: np.ndarray) -> bytes:
    """A map of kinds as a PNG with their colours, transparent where nothing is wrong."""
    picture = Image.fromarray(np.where(kinds == 0, np.uint8(_CLEAR), kinds - 1).astype(np.uint8))
    palette = [*COLORS, *[(0, 0, 0)] * (_CLEAR + 1 - len(COLORS))]  # as long as the transparent value needs
    picture.putpalette(np.asarray(palette, np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=_CLEAR)
    return stream.getvalue()


def counts_of(kinds: np.ndarray) -> Iterator[int]:
    """Number of pixels of each kind, in the order of `KINDS`."""
    yield from np.bincount(kinds.ravel(), minlength=len(KINDS) + 1)[1:].tolist()


def _span(start: int, length: int, whole: int) -> slice:
    """Pixels of one side of a picture that is cut out: the region in its middle, as far as the image goes."""
    wanted = min(whole, max(SMALLEST_CROP, round(1.5 * length)))
    first = min(max(0, start + length // 2 - wanted // 2), whole - wanted)
    return slice(first, first + wanted)
