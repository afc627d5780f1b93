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

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.auditing.hamming import near_pairs, runs
from pixelwise.datasets.samples import Sample, ids_of
from pixelwise.storage.spilled import SpilledRows

MAX_DISTANCE = 6
MIN_CORRELATION = 0.95
SMALLEST_SIDE = 32
"""Images with a shorter side are not compared: they hold too little to tell them apart."""
KEPT_TWINS = 100
"""An audit lists at most this many near-duplicates of two splits and counts the rest."""
_LEAST_CONTRAST = 3.0
_THUMBNAIL = 16
# Images, pairs of images, and candidates of one image that are compared at once; they bound the memory.
_BLOCK = 4096
_TOGETHER = 1 << 19
_MOST_AT_ONCE = 64


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


class Looks:
    """What tells the images of one split apart: content hashes and signatures, 41 bytes in memory for each of many.

    Args:
        number: Number of images; those that are not set are like no other image.

    Attributes:
        digests: 32 bytes (N,), SHA-256 of the files; zeros where a file could not be read.
        hashes: uint64 (N,), perceptual hashes.
        compared: bool (N,), whether the image has a perceptual signature.
        thumbnails: uint8 (N, 256), 16x16 grey values, row by row; those of many images lie in a file, because few of
            them are ever looked at.
    """

    def __init__(self, number: int) -> None:
        # Memory that nothing is written to is not taken.
        self.digests = np.zeros(number, "S32")
        self.hashes = np.zeros(number, np.uint64)
        self.compared = np.zeros(number, bool)
        self.thumbnails = SpilledRows(number, _THUMBNAIL**2)

    def __len__(self) -> int:
        return len(self.digests)

    def set(self, row: int, digest: str, signature: Signature) -> None:
        """Set the hexadecimal SHA-256 of a file, empty if it could not be read, and the signature of the image."""
        self.digests[row] = bytes.fromhex(digest)
        if signature.hash >= 0:
            self.hashes[row], self.compared[row] = signature.hash, True
            self.thumbnails.set(row, signature.thumbnail)

    def signature(self, row: int) -> Signature:
        """The perceptual signature of an image."""
        return Signature(int(self.hashes[row]), self.thumbnails[row].tobytes()) if self.compared[row] else NO_SIGNATURE


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
    thumbnails = (np.frombuffer(side.thumbnail, np.uint8)[None] for side in (first, second))
    return bool(_correlation(*thumbnails)[0] >= MIN_CORRELATION)


def twins_across(first: Looks, second: Looks) -> np.ndarray:
    """Find the nearest near-duplicate in `first` of every image of `second` that has one.

    Of several that are equally near, the first one counts. Files with the same content are no near-duplicates.

    Args:
        first: Images of one split.
        second: Images of another split.

    Returns:
        int64 (M, 3): row in `first`, row in `second`, number of differing bits; sorted by the row in `second`.
    """
    known, begins = _by_hash(first, _representatives(first))
    wanted, groups = _by_hash(second, np.flatnonzero(second.compared))
    twins = [np.zeros((0, 3), np.int64)]
    blocks = near_pairs(first.hashes[known[begins[:-1]]], second.hashes[wanted[groups[:-1]]], MAX_DISTANCE)
    for positions, near, bits in blocks:
        numbers = begins[near + 1] - begins[near]
        for part in _parts(positions, numbers):
            rows = known[runs(begins[near[part]], numbers[part])]
            of, distances = (np.repeat(values[part], numbers[part]) for values in (positions, bits))
            order = np.lexsort((rows, distances, of))
            rows, distances = rows[order], distances[order]
            hashes, starts = np.unique(of, return_index=True)
            asking = groups[hashes + 1] - groups[hashes]
            images = wanted[runs(groups[hashes], asking)]
            limits = [np.repeat(values, asking) for values in (starts, [*starts[1:], len(of)])]
            chosen = _first_alike(first, rows, second, images, *limits)
            found = chosen >= 0
            twins.append(
                np.stack([rows[chosen[found]], images[found], distances[chosen[found]]], axis=1, dtype=np.int64)
            )
    joined = np.concatenate(twins)
    return joined[np.argsort(joined[:, 1], kind="stable")]


def _parts(positions: np.ndarray, numbers: np.ndarray) -> Iterator[slice]:
    """Parts of the pairs of a block with few images each, cut where `positions` changes."""
    ends = np.array([*(np.flatnonzero(np.diff(positions)) + 1), len(positions)])
    totals = np.concatenate([[0], np.cumsum(numbers)])
    begin = 0
    while begin < len(positions):
        fitting = np.searchsorted(totals[ends], totals[begin] + _TOGETHER, side="right")
        # At least those of one hash.
        end = int(ends[max(fitting - 1, np.searchsorted(ends, begin, side="right"))])
        yield slice(begin, end)
        begin = end


def _by_hash(looks: Looks, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows sorted by hash, then by row, and where each different hash begins among them, with the end."""
    ordered = rows[np.argsort(looks.hashes[rows], kind="stable")]
    changes = np.flatnonzero(np.diff(looks.hashes[ordered])) + 1
    return ordered, np.concatenate([[0], changes, [len(ordered)]] if len(ordered) else [[0]]).astype(np.int64)


def _representatives(looks: Looks) -> np.ndarray:
    """The rows that can be the first twin of some image.

    Of images with equal signatures these are the first one and the first whose file has another content.
    """
    ordered, begins = _by_hash(looks, np.flatnonzero(looks.compared))
    kept = np.ones(len(ordered), bool)
    for begin in np.flatnonzero(np.diff(begins) > 1):
        seen: dict[bytes, bytes | None] = {}  # content of the only one so far; None if there are two
        for place in range(begins[begin], begins[begin + 1]):
            row = ordered[place]
            thumbnail, digest = looks.thumbnails[row].tobytes(), bytes(looks.digests[row])
            kept[place] = thumbnail not in seen or seen[thumbnail] not in (None, digest)
            if kept[place]:
                seen[thumbnail] = None if thumbnail in seen else digest
    return np.sort(ordered[kept])


def _first_alike(
    first: Looks, candidates: np.ndarray, second: Looks, images: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """For every image of `second` the place of the first candidate that is like it; -1 if none is.

    Args:
        first: The images that `candidates` are rows of.
        candidates: Rows by place.
        second: The images that `images` are rows of.
        images: Rows.
        begins: The first place of the candidates of every image.
        ends: The end of these places.
    """
    chosen = np.full(len(images), -1, np.int64)
    for start in range(0, len(images), _BLOCK):
        asking = np.arange(start, min(start + _BLOCK, len(images)))
        done, number = 0, 1
        while len(asking):
            # The nearest candidate is nearly always the one, so that few are looked at.
            numbers = np.minimum(number, ends[asking] - begins[asking] - done)
            places, of = runs(begins[asking] + done, numbers), np.repeat(asking, numbers)
            fitting = np.flatnonzero(_alike_images(first, candidates[places], second, images[of]))
            found, where = np.unique(of[fitting], return_index=True)
            chosen[found] = places[fitting[where]]
            done, number = done + number, min(4 * number, _MOST_AT_ONCE)
            asking = asking[(chosen[asking] < 0) & (begins[asking] + done < ends[asking])]
    return chosen


def _alike_images(first: Looks, rows: np.ndarray, second: Looks, others: np.ndarray) -> np.ndarray:
    """Bool (pairs,): the files differ and the thumbnails correlate."""
    fits = first.digests[rows] != second.digests[others]
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        fits[some] &= _correlation(first.thumbnails[rows[some]], second.thumbnails[others[some]]) >= MIN_CORRELATION
    return fits


def repeated(looks: Looks, samples: Sequence[Sample]) -> int:
    """Count the images that show nothing new in the order of their ids, as frames of one video do.

    Each image is compared with the last one that showed something new, so that slow changes add up to a new image.

    Args:
        looks: Images of one split.
        samples: The samples of these images.
    """
    count, last = 0, NO_SIGNATURE
    for row in _in_order_of_ids(samples):
        signature = looks.signature(row)
        if alike(last, signature):
            count += 1
        else:
            last = signature
    return count


def _in_order_of_ids(samples: Sequence[Sample]) -> Sequence[int]:
    if all(one <= other for one, other in itertools.pairwise(ids_of(samples))):
        return range(len(samples))
    ids = list(ids_of(samples))
    return sorted(range(len(ids)), key=ids.__getitem__)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 (N,), correlation of uint8 (N, 256) with uint8 (N, 256); 0 for an even image."""
    # Sums of 256 products of bytes are below 2^24, and so exact in float32: the order of adding does not matter.
    one, other = first.astype(np.float32), second.astype(np.float32)
    pixels = one.shape[1]
    products = [
        np.einsum("np,np->n", *sides).astype(np.float64) for sides in ((one, other), (one, one), (other, other))
    ]
    sums = [side.sum(axis=1).astype(np.float64) for side in (one, other)]
    covariance, left, right = (
        pixels * product - sums[i] * sums[j] for product, (i, j) in zip(products, ((0, 1), (0, 0), (1, 1)), strict=True)
    )
    size = np.sqrt(left * right)
    return np.divide(covariance, size, out=np.zeros_like(size), where=size > 0)
