"""Near-duplicate images: copies at another size or quality, and neighbouring frames of a video.

The search has two steps. Candidates are images whose 64-bit perceptual hashes differ in at most `MAX_DISTANCE` bits; a
hash compares the 8x8 lowest frequencies of a 32x32 grey copy with their median (Zauner 2010, "Implementation and
benchmarking of perceptual image hash functions"). A candidate counts if the correlation of the 16x16 grey copies is at
least `MIN_CORRELATION`, which different images of the same composition do not reach.

The thresholds were chosen on CamVid, whose splits are parts of videos. They find a JPEG of quality 40, a half-size
copy, a brighter copy and a slightly cropped one (at most 6 bits) as well as neighbouring frames at 15 frames per second
(98 of 100 in its val split), but no frames across its splits at 1 frame per second (nearest: 8 bits).
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
"""Images with a shorter side are not compared: they hold too little to tell them apart."""
KEPT_TWINS = 100
"""An audit lists at most this many near-duplicates of two splits and counts the rest."""
_LEAST_CONTRAST = 3.0
_THUMBNAIL = 16
_BLOCK = 256


class Signature(NamedTuple):
    """Perceptual signature of an image, 264 bytes.

    Attributes:
        hash: 64-bit perceptual hash; -1 for an image that is too small or too flat to be compared.
        thumbnail: 16x16 grey values, row by row; empty if `hash` is -1.
    """

    hash: int
    thumbnail: bytes


NO_SIGNATURE = Signature(-1, b"")


class NearDuplicate(msgspec.Struct, frozen=True, kw_only=True):
    """Two images that look alike.

    Attributes:
        splits: Splits of the two images, the earlier one first.
        ids: Sample ids of the two images.
        files: Image files of the two, printable and relative to the data set's folder.
        distance: Number of bits in which the two 64-bit hashes differ.
    """

    splits: tuple[str, str]
    ids: tuple[str, str]
    files: tuple[str, str]
    distance: int


class HashedImage(NamedTuple):
    """An image to compare.

    Attributes:
        split: Split of the sample.
        id: Id of the sample.
        path: Path of the image file.
        digest: SHA-256 of the file; identical files do not count as near-duplicates.
        signature: Perceptual hash and small grey copy of the pixels.
    """

    split: str
    id: str
    path: Path
    digest: str
    signature: Signature


def signature_of(image: np.ndarray) -> Signature:
    """The perceptual signature of an image, uint8 (H, W, 3) RGB."""
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return NO_SIGNATURE
    # Shrinking first makes the grey conversion cheap; with area averaging, size and quality matter little.
    small = cv2.cvtColor(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    if small.std() < _LEAST_CONTRAST:
        return NO_SIGNATURE
    frequencies = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    bits = frequencies > np.median(frequencies[1:])
    thumbnail = cv2.resize(small, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return Signature(int.from_bytes(np.packbits(bits).tobytes(), "big"), thumbnail.tobytes())


def alike(first: Signature, second: Signature) -> bool:
    """Whether two images are near-duplicates, by their signatures."""
    if first.hash < 0 or second.hash < 0 or (first.hash ^ second.hash).bit_count() > MAX_DISTANCE:
        return False
    return _correlation(first, second) >= MIN_CORRELATION


def twins_across(
    first: Sequence[HashedImage], second: Sequence[HashedImage]
) -> list[tuple[HashedImage, HashedImage, int]]:
    """Find the nearest near-duplicate in `first` of every image of `second` that has one.

    Args:
        first: Images of one split.
        second: Images of another split.

    Returns:
        (image of `first`, image of `second`, number of differing bits), the nearest first.
    """
    first = [image for image in first if image.signature.hash >= 0]
    second = [image for image in second if image.signature.hash >= 0]
    hashes = np.array([image.signature.hash for image in first], np.uint64)
    twins: list[tuple[HashedImage, HashedImage, int]] = []
    for start in range(0, len(second) if first else 0, _BLOCK):
        block = second[start : start + _BLOCK]
        wanted = np.array([image.signature.hash for image in block], np.uint64)
        distances = np.bitwise_count(wanted[:, None] ^ hashes[None])
        for row in np.nonzero((distances <= MAX_DISTANCE).any(axis=1))[0]:
            candidates = np.nonzero(distances[row] <= MAX_DISTANCE)[0]
            for column in sorted(candidates, key=lambda index, row=row: int(distances[row, index])):
                one, other = first[column], block[row]
                if one.digest != other.digest and _correlation(one.signature, other.signature) >= MIN_CORRELATION:
                    twins.append((one, other, int(distances[row, column])))
                    break
    return sorted(twins, key=lambda twin: (twin[2], twin[1].id))


def repeated(images: Sequence[HashedImage]) -> int:
    """Count the images that show nothing new in the order of their ids, as frames of one video do.

    Each image is compared with the last one that showed something new, so that slow changes add up to a new image.
    """
    count, last = 0, NO_SIGNATURE
    for image in sorted(images, key=lambda image: image.id):
        if alike(last, image.signature):
            count += 1
        else:
            last = image.signature
    return count


def _correlation(first: Signature, second: Signature) -> float:
    one, other = (np.frombuffer(side.thumbnail, np.uint8).astype(np.float64) for side in (first, second))
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else 0.0
