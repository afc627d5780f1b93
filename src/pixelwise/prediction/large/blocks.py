"""Prediction of an image of any size by windows, row by row of windows, in bounded memory.

Windows, their order and the blending that a protocol defines are those of `pixelwise.prediction.windows`, so that the
class ids are those of the image that is predicted whole. Between two windows only what the next ones share with it is
kept: of the row of windows above, the rows of its logits that reach into this one (in memory, or on the disk if there
are many); of the row itself, the logits of the windows that overlap. As soon as all windows of a block are known, its
class ids are final.

Where no protocol defines windows, they are tapered: they count less towards their borders, where the network lacks
surroundings, and they begin at multiples of `GRID`, as the cells of a network's feature maps do. So the class ids are
those that the network would give the image in one piece, as far as it sees no further than `OWN_SHARE` of the overlap.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.metrics.argmax import source_cells
from pixelwise.metrics.multilabel import bits_of
from pixelwise.models.probabilities import Scores, probabilities
from pixelwise.prediction.background import in_background
from pixelwise.prediction.engine.grid import central_parts, windows_of
from pixelwise.prediction.large.carry import Waiting
from pixelwise.prediction.large.probabilities import STEPS
from pixelwise.prediction.windows import BAND_VALUES, Cut, interpolated_rows
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size

CARRIED_BYTES = 1 << 26
"""Number of bytes of logits that wait in memory for the next row of windows; more wait on the disk."""
GRID = 32
"""Multiple at which tapered windows begin: the largest output stride of most networks."""
OWN_SHARE = 3 / 8
"""Share of the overlap of two tapered windows, on either side, that belongs to one of them alone."""
AHEAD = 2
"""Number of windows that are read ahead of the one being predicted."""

Look = Callable[[Sequence[np.ndarray]], Tensor]
"""Images uint8 (h, w, C) of equal size -> logits (B, K, ...) of the main head."""


class Block(NamedTuple):
    """A finished rectangle of an image.

    Attributes:
        where: The rectangle.
        labels: Class ids uint8 (h, w), 255 where pixels are missing; or bit fields int32 (h, w), 0 there.
        pixels: The image uint8 (h, w, C).
        probabilities: Those of the classes in 255 steps, uint8 (h, w, K), 0 where pixels are missing; None if they were
            not asked for.
    """

    where: Rectangle
    labels: np.ndarray
    pixels: np.ndarray
    probabilities: np.ndarray | None = None


class Joining(NamedTuple):
    """How windows become class ids.

    Attributes:
        protocol: Protocol that defines the windows and their blending.
        align_corners: Convention for upsampling logits, as in `torch.nn.functional.interpolate`.
        multilabel: Whether probabilities are a sigmoid per class.
        tapered: Whether windows count less towards their borders; otherwise overlapping ones count alike.
        scores: Meaning of the network's outputs, `SegmentationModel.scores`.
    """

    protocol: Protocol
    align_corners: bool
    multilabel: bool = False
    tapered: bool = False
    scores: Scores = "logits"

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities of the network's outputs (K, ...)."""
        return probabilities(outputs, self.scores, multilabel=self.multilabel)


class _Seen(NamedTuple):
    """A window and its logits."""

    where: Rectangle
    logits: Tensor
    cut: Cut | None = None


class _Kept(NamedTuple):
    """A window whose logits wait for the next row."""

    where: Rectangle
    number: int
    cut: Cut


class Blocks:
    """The blocks of an image, from left to right and from top to bottom; together they cover it.

    Args:
        look: Forward pass of the network.
        read: Reads a rectangle of the image.
        size: (height, width) of the image.
        joining: How windows become class ids.
        scratch: Folder for temporary files.
        carried_bytes: Number of bytes of logits that wait in memory.
        classes: Number of classes, if blocks are to have their probabilities; 0 otherwise.

    Attributes:
        windows: Number of windows.
        looks: Number of windows that the network was shown so far; those without data are left out.
        done: Number of windows that are done.
    """

    def __init__(
        self,
        look: Look,
        read: Callable[[Rectangle], Region],
        size: Size,
        joining: Joining,
        *,
        scratch: Path,
        carried_bytes: int = CARRIED_BYTES,
        classes: int = 0,
    ) -> None:
        self._classes = classes
        self._look, self._read, self._size, self._joining = look, read, size, joining
        protocol = joining.protocol
        found = windows_of(size, protocol.window, protocol.window_stride, even=protocol.even_windows)
        self._places = [Rectangle(*window[:4]) for window in found]
        self._parts = central_parts(found, size) if protocol.blend == "central" else {}
        self._rows: dict[int, Tensor] = {}
        self._columns: dict[int, Tensor] = {}
        if joining.tapered:
            window = protocol.window or size
            spans = [
                aligned_spans(*sides) for sides in zip(size, window, protocol.window_stride or window, strict=True)
            ]
            self._rows, self._columns = tapers(spans[0]), tapers(spans[1])
            self._places = [Rectangle(top, left, height, width) for top, height in spans[0] for left, width in spans[1]]
        self._tops = sorted({where.top for where in self._places})
        self._lefts = sorted({where.left for where in self._places})
        self._kept: list[_Kept] = []
        # Two, because the logits of one row are read while those of the next one are written.
        self._waiting = [Waiting(scratch, carried_bytes // 2) for _ in range(2)]
        self.windows, self.looks, self.done = len(self._places), 0, 0

    def __iter__(self) -> Iterator[Block]:
        regions = in_background(self._read, self._places, ahead=AHEAD)
        with contextlib.closing(regions), contextlib.ExitStack() as closing:
            for waiting in self._waiting:
                closing.callback(waiting.close)
            ends = [*self._tops[1:], self._size[0]]
            for first, last in zip(self._tops, ends, strict=True):
                yield from self._row(first, last, regions)

    def _row(self, first: int, last: int, regions: Iterator[Region]) -> Iterator[Block]:
        """The blocks of rows `first` to `last - 1`, of which `first` is the first row of a row of windows."""
        current: list[_Seen] = []
        kept: list[_Kept] = []
        above, below = self._waiting
        ends = [*self._lefts[1:], self._size[1]]
        for left, end in zip(self._lefts, ends, strict=True):
            where, region = self._places[self.done], next(regions)
            current = [one for one in current if one.where.right > left]
            # What has no data needs no network: all of its pixels are ignored.
            if region.missing is None or not region.missing.all():
                self.looks += 1
                current.append(_Seen(where, self._look([region.pixels])[0]))
                if where.bottom > last:
                    kept.append(self._keep(below, current[-1], last))
            block = Rectangle(first, left, last - first, end - left)
            missing = None if region.missing is None else _part(region.missing, where, block)
            labels, probabilities = self._labels(block, missing, current)
            yield Block(block, labels, _part(region.pixels, where, block), probabilities)
            self.done += 1
        # Windows that reach even further down wait for another row.
        further = [one for one in self._kept if one.where.bottom > last]
        self._kept = [self._keep(below, self._waited(one), last) for one in further] + kept
        above.close()
        self._waiting = [below, above]

    def _keep(self, waiting: Waiting, seen: _Seen, row: int) -> _Kept:
        """Keep the logits of a window that are needed for rows of the image from `row` on."""
        above, height = seen.cut or Cut(0, seen.logits.shape[1])
        first = row - seen.where.top
        if height != seen.where.height:
            align, cpu = self._joining.align_corners, torch.device("cpu")
            first = int(source_cells(height, seen.where.height, align, torch.float32, cpu)[0][first])
        return _Kept(seen.where, waiting.put(seen.logits[:, first - above :]), Cut(first, height))

    def _waited(self, kept: _Kept) -> _Seen:
        return _Seen(kept.where, self._waiting[0].get(kept.number), kept.cut)

    def _labels(
        self, block: Rectangle, missing: np.ndarray | None, current: list[_Seen]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Class ids or bit fields of a block, and on request the probabilities of the classes.

        All of its windows of this row and of those above are known.
        """
        nothing = np.int32(0) if self._joining.multilabel else np.uint8(IGNORE)
        if missing is not None and missing.all():
            none = np.zeros((block.height, block.width, self._classes), np.uint8) if self._classes else None
            return np.full((block.height, block.width), nothing), none
        above = [one for one in self._kept if one.where.left < block.right and one.where.right > block.left]
        labels, probabilities = self._decided(block, [self._waited(one) for one in above] + current)
        if missing is None:
            return labels, probabilities
        if probabilities is not None:
            probabilities[missing] = 0
        return np.where(missing, nothing, labels), probabilities

    def _decided(self, block: Rectangle, windows: list[_Seen]) -> tuple[np.ndarray, np.ndarray | None]:
        classes = len(windows[-1].logits)
        height = max(1, BAND_VALUES // (classes * block.width))
        found, steps = [], []
        for first in range(block.top, block.bottom, height):
            values = self._joined(Rectangle(first, block.left, min(height, block.bottom - first), block.width), windows)
            if self._joining.multilabel:
                found.append(bits_of(values > (0.5 if self._are_probabilities else 0.0)))
            else:
                found.append(values.argmax(0).to(torch.uint8 if classes <= IGNORE else torch.int64))
            if self._classes:
                if not self._are_probabilities:
                    values = self._joining.probabilities(values)
                steps.append(in_steps(values))
        return torch.cat(found).cpu().numpy(), np.concatenate(steps) if steps else None

    @property
    def _are_probabilities(self) -> bool:
        return self._joining.protocol.blend == "probabilities" and self.windows > 1

    def _joined(self, rows: Rectangle, windows: list[_Seen]) -> Tensor:
        """Values (K, h, w) of a rectangle from all windows that contain parts of it, joined as the protocol says."""
        # The windows of rows above waited on the CPU.
        device = windows[-1].logits.device
        total = torch.zeros(len(windows[-1].logits), rows.height, rows.width, device=device)
        count = torch.zeros(rows.height, rows.width, device=device)
        for window in windows:
            where = window.where
            inside = self._parts.get((where.top, where.left), (where.top, where.bottom, where.left, where.right))
            first, last = max(rows.top, inside[0]), min(rows.bottom, inside[1])
            left, right = max(rows.left, inside[2]), min(rows.right, inside[3])
            if first < last and left < right:
                values = self._values(window, first, last).to(device)[..., left - where.left : right - where.left]
                here = slice(first - rows.top, last - rows.top), slice(left - rows.left, right - rows.left)
                if self._rows:
                    down, across = self._rows[where.top], self._columns[where.left]
                    weight = (
                        down[first - where.top : last - where.top, None]
                        * across[left - where.left : right - where.left]
                    ).to(device)
                    total[(slice(None), *here)] += values * weight
                    count[here] += weight
                else:
                    total[(slice(None), *here)] += values
                    count[here] += 1
        return total if self._parts else total.div_(count)

    def _values(self, window: _Seen, first: int, last: int) -> Tensor:
        """Logits or probabilities float32 (K, last - first, w) of rows of the image in a window."""
        where, joining = window.where, self._joining
        size = (where.height, where.width)
        values = interpolated_rows(
            window.logits, size, first - where.top, last - where.top, joining.align_corners, cut=window.cut
        )
        if not self._are_probabilities:
            return values
        return joining.probabilities(values)


def joined_labels(blocks: Iterable[Block], size: Size) -> np.ndarray:
    """Class ids or bit fields (H, W) of a whole image from its blocks."""
    labels = np.empty(0)
    for number, block in enumerate(blocks):
        if number == 0:
            labels = np.empty(size, block.labels.dtype)
        labels[block.where.top : block.where.bottom, block.where.left : block.where.right] = block.labels
    return labels


def aligned_spans(length: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Start and length of windows that begin at multiples of `GRID`, if they are not smaller than that.

    Args:
        length: Number of positions of a side of the image.
        window: Largest length of a window.
        stride: Largest distance between windows.

    Returns:
        The windows, of which only the last one may be shorter, by less than `GRID`.
    """
    grid = GRID if stride >= GRID else 1
    step = stride // grid * grid
    last = -(-max(length - window, 0) // grid) * grid
    starts = [*range(0, last, step), last]
    return [(start, min(window, length - start)) for start in starts]


def tapers(spans: Sequence[tuple[int, int]]) -> dict[int, Tensor]:
    """Weights of the positions in windows: at every position, those of all windows add up to 1.

    Where two windows overlap, the first `OWN_SHARE` belongs to the first one and the last to the second one; between
    them, the weight moves evenly from one to the other.

    Args:
        spans: Start and length of each window, ascending.

    Returns:
        Start of each window -> float32 (length,), 0 to 1.
    """
    found = {start: torch.ones(length) for start, length in spans}
    for (one, length), (other, _) in itertools.pairwise(spans):
        overlap = one + length - other
        if overlap > 0:
            shared = overlap * (1 - 2 * OWN_SHARE)
            rising = ((torch.arange(overlap) + 0.5 - overlap * OWN_SHARE) / shared).clamp(0, 1)
            found[other][:overlap] *= rising
            found[one][length - overlap :] *= 1 - rising
    return found


def _part(values: np.ndarray, of: Rectangle, where: Rectangle) -> np.ndarray:
    """The values (h, w, ...) of a rectangle that lies within another one."""
    return values[where.top - of.top : where.bottom - of.top, where.left - of.left : where.right - of.left]


def in_steps(values: Tensor) -> np.ndarray:
    """As that of `pixelwise.prediction.large.probabilities`; on the device, which sends a quarter of the bytes."""
    return (values * STEPS).round_().clamp_(0, STEPS).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
