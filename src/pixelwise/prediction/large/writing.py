"""The masks of an image that is predicted in parts, from its blocks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.prediction.large.outlines import Drawing
from pixelwise.prediction.large.previews import Preview
from pixelwise.prediction.large.probabilities import look_of, save, tags_of
from pixelwise.prediction.large.pyramids import Look, MaskPyramid
from pixelwise.prediction.mask_formats import MaskCode
from pixelwise.recipes.sizes import Size

if TYPE_CHECKING:
    from pixelwise.prediction.large.blocks import Block

WHITE = 255


class Plane(NamedTuple):
    """One mask that is made of class ids or bit fields.

    Attributes:
        path: Its file without the extension.
        code: How class ids become pixels; None for black and white masks of one class.
        class_id: The class of such a mask.
        nodata: Value of ignored pixels, which is declared as missing data; None if there is none.
        bands: Class names if the file holds the probabilities of the classes instead, one band each.
    """

    path: Path
    code: MaskCode | None = None
    class_id: int = 0
    nodata: int | None = None
    bands: tuple[str, ...] = ()

    def values(self, labels: np.ndarray, probabilities: np.ndarray | None = None) -> np.ndarray:
        """Pixels of class ids uint8 (H, W) or bit fields int32 (H, W), or of probabilities uint8 (H, W, K)."""
        if self.bands:
            if probabilities is None:
                raise ValueError("blocks have no probabilities")
            return probabilities
        if self.code is not None:
            return self.code.values(labels)
        return (labels >> self.class_id & 1).astype(np.uint8) * np.uint8(WHITE)

    def look(self) -> Look:
        """Type and colours of the pixels."""
        if self.bands:
            return look_of(self.bands)
        probe = self.values(np.zeros((1, 1), np.int32 if self.code is None else np.uint8))
        channels = probe.shape[2] if probe.ndim == len(("row", "column", "channel")) else 1
        return Look(probe.dtype, channels, None if self.code is None else self.code.colors, self.nodata)


class Canvas:
    """Receives the blocks of an image, and writes its files when all are there.

    Args:
        size: (height, width) of the image.
        planes: The masks.
        scratch: Folder for temporary files.
        preview: Receives the blocks, too; None to make no overlay.
        drawing: Receives complete rows of class ids or bit fields; None to draw no outlines.
    """

    def __init__(
        self, size: Size, planes: list[Plane], scratch: Path, preview: Preview | None, drawing: Drawing | None = None
    ) -> None:
        self._size, self._planes, self._preview, self._drawing = size, planes, preview, drawing
        self._masks = [MaskPyramid(size, plane.look(), scratch) for plane in planes]
        self._band: np.ndarray | None = None
        self._probabilities: np.ndarray | None = None

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as closing:
            for mask in self._masks:
                closing.callback(mask.close)

    def add(self, block: Block) -> None:
        """Add the next block, from left to right and from top to bottom."""
        where = block.where
        if self._band is None:
            self._band = np.empty((where.height, self._size[1]), block.labels.dtype)
        self._band[:, where.left : where.right] = block.labels
        if block.probabilities is not None:
            if self._probabilities is None:
                self._probabilities = np.empty((*self._band.shape, block.probabilities.shape[2]), np.uint8)
            self._probabilities[:, where.left : where.right] = block.probabilities
        if self._preview is not None:
            self._preview.add(where, block.pixels, block.labels)
        if where.right == self._size[1]:
            for plane, mask in zip(self._planes, self._masks, strict=True):
                mask.add(plane.values(self._band, self._probabilities))
            if self._drawing is not None:
                self._drawing.add(self._band)
            self._band = self._probabilities = None

    def save(self, place: Georeference | None) -> None:
        """Write the masks, with the position of the image on the map if it has one.

        Raises:
            ResourceError: S601, the disk is full.
        """
        if self._drawing is not None:
            self._drawing.finish()
        for plane, mask in zip(self._planes, self._masks, strict=True):
            tags = tags_of(plane.bands, place) if plane.bands else () if place is None else place.tags
            save(plane.path, mask, tags, place)
