"""Images that look alike: copies at another size or quality, and neighbouring frames of a video.

Two steps. Candidates are images whose 64-bit perceptual hashes differ in at most `MAX_DISTANCE` bits: the
signs of the 8x8 lowest frequencies of a 32x32 grey copy, against their median (Zauner 2010, "Implementation
and benchmarking of perceptual image hash functions"). A candidate counts if 16x16 grey copies correlate
by `MIN_CORRELATION` or more, which two different images of the same composition do not.

The thresholds were chosen on CamVid, whose splits are parts of videos: a JPEG of quality 40, a half-size
copy, a brighter copy and a slightly cropped one are found (at most 6 bits), so are 15 frames per second
(98 of 100 neighbours of its val split), and none of 1 frame per second across the splits (nearest: 8 bits).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

MAX_DISTANCE = 6
MIN_CORRELATION = 0.95
SMALLEST_SIDE = 32
"""Smaller images have too little to tell them apart."""
KEPT_TWINS = 100
"""At most this many look-alikes of two splits are listed; the others are counted."""
_LEAST_CONTRAST = 3.0
_THUMBNAIL = 16
_BLOCK = 256


class Look(NamedTuple):
    """What an image looks like, in 264 bytes.

    Attributes:
        hash: 64 bits; -1 for an image that is too small or too flat to be compared.
        thumbnail: 16x16 grey values, row by row; empty with it.
    """

    hash: int
    thumbnail: bytes


NO_LOOK = Look(-1, b"")


class NearDuplicate(msgspec.Struct, frozen=True, kw_only=True):
    """Two images that look alike.

    Attributes:
        splits: Splits of the two images, the earlier one first.
        ids: Sample ids of the two images.
        files: Their image files, printable and relative to the data set's folder.
        distance: Number of bits in which their 64-bit hashes differ.
    """

    splits: tuple[str, str]
    ids: tuple[str, str]
    files: tuple[str, str]
    distance: int


class Seen(NamedTuple):
    """An image to compare.

    Attributes:
        split: Split of the sample.
        id: Id of the sample.
        path: The image file.
        digest: SHA-256 of the file: identical files are no near-duplicates.
        look: Perceptual hash and small grey copy of the pixels.
    """

    split: str
    id: str
    path: Path
    digest: str
    look: Look


def look_of(image: np.ndarray) -> Look:
    """The look of an image, uint8 (H, W, 3) RGB."""
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return NO_LOOK
    # Shrinking first makes the grey conversion free; area averaging, so that size and quality matter little.
    small = cv2.cvtColor(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    if small.std() < _LEAST_CONTRAST:
        return NO_LOOK
    frequencies = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    bits = frequencies > np.median(frequencies[1:])
    thumbnail = cv2.resize(small, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return Look(int.from_bytes(np.packbits(bits).tobytes(), "big"), thumbnail.tobytes())


def alike(first: Look, second: Look) -> bool:
    """Whether two looks are of the same scene."""
    if first.hash < 0 or second.hash < 0 or (first.hash ^ second.hash).bit_count() > MAX_DISTANCE:
        return False
    return _correlation(first, second) >= MIN_CORRELATION


def twins_across(first: Sequence[Seen], second: Sequence[Seen]) -> list[tuple[Seen, Seen, int]]:
    """Find for every image of `second` the image of `first` that looks most like it, if one looks alike at all.

    Args:
        first: Images of one split.
        second: Images of another split.

    Returns:
        (of the first, of the second, differing bits), the nearest first.
    """
    first = [seen for seen in first if seen.look.hash >= 0]
    second = [seen for seen in second if seen.look.hash >= 0]
    hashes = np.array([seen.look.hash for seen in first], np.uint64)
    twins: list[tuple[Seen, Seen, int]] = []
    for start in range(0, len(second) if first else 0, _BLOCK):
        block = second[start : start + _BLOCK]
        wanted = np.array([seen.look.hash for seen in block], np.uint64)
        distances = np.bitwise_count(wanted[:, None] ^ hashes[None])
        for row in np.nonzero((distances <= MAX_DISTANCE).any(axis=1))[0]:
            candidates = np.nonzero(distances[row] <= MAX_DISTANCE)[0]
            for column in sorted(candidates, key=lambda index, row=row: int(distances[row, index])):
                one, other = first[column], block[row]
                if one.digest != other.digest and _correlation(one.look, other.look) >= MIN_CORRELATION:
                    twins.append((one, other, int(distances[row, column])))
                    break
    return sorted(twins, key=lambda twin: (twin[2], twin[1].id))


def repeated(images: Sequence[Seen]) -> int:
    """How many images show nothing new in the order of their ids: frames of one video.

    An image is compared with the last one that did show something new, so that a slow drive still counts.
    """
    count, last = 0, NO_LOOK
    for seen in sorted(images, key=lambda seen: seen.id):
        if alike(last, seen.look):
            count += 1
        else:
            last = seen.look
    return count


def _correlation(first: Look, second: Look) -> float:
    one, other = (np.frombuffer(look.thumbnail, np.uint8).astype(np.float64) for look in (first, second))
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else 0.0
