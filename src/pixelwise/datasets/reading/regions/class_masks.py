"""Rectangles of multi-label data, which has one mask per class: the same rectangle of each of them, as a bit field."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pixelwise.datasets.reading.mask_values import RawMask
from pixelwise.datasets.reading.masks import presence_in
from pixelwise.datasets.reading.regions.masks import KEPT_BYTES, MaskRegions, WholeMask, bands
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.recipes.sizes import Size


class ClassMaskRegions:
    """The masks of all classes of one image, whose rectangles are read when they are asked for.

    Args:
        sample: A sample of `dataset` with at least one mask; a class without one is absent.
        dataset: Multi-label data set whose label table and reading options are used.
        known: What is known of whole masks, by path.

    Attributes:
        masks: The masks by path.
        threshold: Values from the threshold on mark a class; None if only black and white are allowed.
        size: (height, width) of the first mask.
        rows: Height of its tiles or strips.

    Raises:
        DataError: As `MaskRegions`.
        ResourceError: As `MaskRegions`.
    """

    def __init__(self, sample: Sample, dataset: Dataset, known: Mapping[Path, WholeMask] | None = None) -> None:
        table, self._ignored = dataset.label_table, len(sample.class_masks)
        self.threshold = table.threshold
        self._closing = contextlib.ExitStack()
        self._bits: list[tuple[int, Path]] = []
        self.masks: dict[Path, MaskRegions] = {}
        shared = SegmentCache(KEPT_BYTES)
        try:
            for bit, path in enumerate((*sample.class_masks, sample.ignore_mask)):
                if path is None:
                    continue
                if path not in self.masks:
                    mask = MaskRegions(
                        path, table, dataset.reading, 2, (known or {}).get(path), (shared, len(self.masks))
                    )
                    self.masks[path] = self._closing.enter_context(mask)
                self._bits.append((bit, path))
        except BaseException:
            self.close()
            raise
        first = self.masks[self._bits[0][1]]
        self.size: Size = first.size
        self.rows = first.rows

    def __enter__(self) -> ClassMaskRegions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._closing.close()

    @property
    def known(self) -> dict[Path, WholeMask]:
        """What is known of whole masks, by path."""
        return {path: mask.known for path, mask in self.masks.items()}

    def bands(self) -> Iterator[Rectangle]:
        """The masks in bands of whole rows, from top to bottom, as the tiles or strips of the first one suggest."""
        return bands(self.size, self.rows)

    def labels(self, where: Rectangle) -> np.ndarray:
        """Bit fields int32 (h, w) of a rectangle within the masks: bit k is class k, `IGNORE_BIT` alone is ignored.

        Raises:
            DataError: As `load_mask`; D202 more than two values, D203 a lossy format, D205 colours.
        """
        return self.joined(
            {path: presence_in(path, raw, self.threshold) for path, raw in self.raw(where).items()}, where
        )

    def raw(self, where: Rectangle) -> dict[Path, RawMask]:
        """The values of a rectangle within the masks by path, not interpreted yet.

        Raises:
            DataError: As `load_mask`.
        """
        return {path: mask.raw(where) for path, mask in self.masks.items()}

    def joined(self, present: Mapping[Path, np.ndarray], where: Rectangle) -> np.ndarray:
        """Bit fields int32 (h, w) of a rectangle; see `labels`.

        Args:
            present: Where each of the masks marks its class, bool (h, w), by path.
            where: The rectangle.
        """
        found = np.zeros((where.height, where.width), np.int32)
        for bit, path in self._bits:
            if bit == self._ignored:
                found[present[path]] = IGNORE_BIT
            else:
                np.bitwise_or(found, 1 << bit, out=found, where=present[path])
        return found
