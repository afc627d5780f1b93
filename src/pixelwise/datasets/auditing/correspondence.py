"""Whether each mask belongs to its photo: label borders lie on the edges of the photo they were drawn on.

Both are compared on a grid of 48x48 cells, as the correlation of the share of border pixels with the strength of the
edges. What all masks or all photos have in common, such as a horizon, is subtracted (the mean of the score over all
other photos and over all other masks), and the rest is given in standard deviations of the scores of pairs that do not
belong together. A permutation of the masks thus decides what is unusual, not the data set's kind of images.

The thresholds were chosen on CamVid: none of its 701 masks is reported; of two masks that were exchanged, nine in ten
are, in data sets of 8 to 100 pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import msgspec
import numpy as np

from pixelwise.recipes.class_sets.tables import IGNORE

GRID = 48
MOST_COMPARED = 5000
"""Of larger data sets, this many pairs are compared, evenly spaced."""
SHOWN = 12
"""Number of pairs with the lowest scores that are kept."""
_LONGEST_SIDE = 256
# Pairs that are compared with one another.
_TOGETHER = 1000
_FEWEST_PAIRS = 8
_FEWEST_CELLS = 10
# A mask that fits its photo worse than four in ten others, or two masks that both fit the photo of the other one.
_MISFIT, _WORSE_THAN = -0.3, 0.4
_EXCHANGED, _DOUBTFUL = 1.5, 1.2
_USUAL = 1.0
_SHORTEST_SIDE = 24


class Grids(NamedTuple):
    """Edges of a photo and borders of its mask, uint8 (48, 48) each, row by row; both are empty if not comparable."""

    edges: bytes = b""
    borders: bytes = b""


class MaskFit(msgspec.Struct, frozen=True, kw_only=True):
    """How well a mask fits its photo.

    Attributes:
        split: Split of the pair.
        id: Id of the sample.
        score: Agreement of label borders with the edges of the photo, in standard deviations of that of other photos.
        suspicious: Whether the mask seems to belong to another photo.
        other: Id of the pair that it seems to be exchanged with; empty if there is none.
    """

    split: str
    id: str
    score: float
    suspicious: bool = False
    other: str = ""


def grids_of(image: np.ndarray, labels: np.ndarray) -> Grids:
    """Edges and borders of a pair.

    Args:
        image: uint8 (H, W, C).
        labels: uint8 (H, W) class ids; borders of ignored pixels do not count.
    """
    if min(labels.shape) < _SHORTEST_SIDE:
        return Grids()
    step = max(1, round(max(labels.shape) / _LONGEST_SIDE))
    size = (max(1, labels.shape[1] // step), max(1, labels.shape[0] // step))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[2] == 3 else np.ascontiguousarray(image[..., 0])
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    down, right = cv2.Sobel(small, cv2.CV_32F, 0, 1), cv2.Sobel(small, cv2.CV_32F, 1, 0)
    edges = _cells(np.sqrt(np.hypot(down, right)))
    rows, columns = (
        np.minimum((np.arange(n) * step + step // 2), limit - 1)
        for n, limit in zip(size[::-1], labels.shape, strict=True)
    )
    borders = _cells(_borders(labels[np.ix_(rows, columns)]))
    if np.count_nonzero(borders) < _FEWEST_CELLS or edges.max() <= 0 or edges.std() == 0:
        return Grids()
    return Grids(*(np.round(255 * cells / cells.max()).astype(np.uint8).tobytes() for cells in (edges, borders)))


def compared_step(total: int) -> int:
    """Every how manyth of so many pairs is compared."""
    return max(1, -(-total // MOST_COMPARED))


def mask_fits(pairs: Sequence[tuple[str, str, Grids]]) -> list[MaskFit]:
    """Compare every mask with its photo and with the others, the least fitting ones first.

    Args:
        pairs: Split, id and grids of every pair; those without grids are left out.
    """
    compared = [pair for pair in pairs if pair[2].edges]
    found: list[MaskFit] = []
    parts = max(1, round(len(compared) / _TOGETHER))
    for part in range(parts):
        members = compared[part * len(compared) // parts : (part + 1) * len(compared) // parts]
        if len(members) >= _FEWEST_PAIRS:
            found += _compare(members)
    return sorted(found, key=lambda fit: (not fit.suspicious, fit.score))


def _compare(pairs: Sequence[tuple[str, str, Grids]]) -> list[MaskFit]:
    edges, borders = (
        _normalised(np.stack([np.frombuffer(getattr(grids, name), np.uint8) for _, _, grids in pairs]))
        for name in ("edges", "borders")
    )
    scores = borders @ edges.T
    scores = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + scores.mean()
    others = ~np.eye(len(pairs), dtype=bool)
    spread = float(scores[others].std())
    if spread == 0:
        return []
    scores = scores / spread
    own = np.diag(scores).copy()
    # Where borders do not follow edges at all, no mask stands out; where all names are shifted, each mask fits another
    # photo far better than the best of as many by chance.
    by_chance = float(np.sqrt(2 * np.log(len(pairs))))
    telling = np.median(own) >= _USUAL or np.median(scores.max(axis=1)) >= by_chance
    # How many photos fit a mask better than its own, and how many masks fit a photo better; the smaller share counts.
    worse = np.minimum((scores > own[:, None]).mean(axis=1), (scores > own[None]).mean(axis=0))
    gain = scores - own[:, None]
    both = np.minimum(gain, gain.T)
    doubtful = own < _DOUBTFUL
    exchanged = (both > 0) & (gain + gain.T >= 2 * _EXCHANGED) & doubtful[:, None] & doubtful[None]
    partners = np.where(exchanged, both, -np.inf)
    fits = []
    for index, (split, identifier, _) in enumerate(pairs):
        partner = int(partners[index].argmax()) if exchanged[index].any() else None
        alone = bool(own[index] < _MISFIT and worse[index] > _WORSE_THAN)
        fits.append(
            MaskFit(
                split=split,
                id=identifier,
                score=round(float(own[index]), 2),
                suspicious=bool(telling) and (alone or partner is not None),
                other="" if partner is None or not telling else pairs[partner][1],
            )
        )
    return fits


def _normalised(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float32)
    wide -= wide.mean(axis=1, keepdims=True)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-6)


def _borders(labels: np.ndarray) -> np.ndarray:
    """float32 (H, W): 1 at pixels whose right or lower neighbour has another class."""
    known = labels != IGNORE
    result = np.zeros(labels.shape, np.float32)
    result[:, :-1] = (labels[:, 1:] != labels[:, :-1]) & known[:, 1:] & known[:, :-1]
    result[:-1] = np.maximum(result[:-1], (labels[1:] != labels[:-1]) & known[1:] & known[:-1])
    return result


def _cells(values: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA))
