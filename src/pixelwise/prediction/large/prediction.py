"""The prediction of an image that is too large to be decoded whole: a file, whose parts are read on demand."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.errors import RecipeError
from pixelwise.prediction.large.choice import InParts
from pixelwise.prediction.large.parts import predict_in_parts
from pixelwise.prediction.large.writing import Plane
from pixelwise.prediction.mask_formats import mask_code
from pixelwise.prediction.overlays import jpeg
from pixelwise.prediction.prediction import OVERLAY_ENDINGS, Prediction
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import portable, printable, write_bytes, writing
from pixelwise.storage.names import distinct
from pixelwise.views import html_legend, html_picture, line, names_in_words, percent

if TYPE_CHECKING:
    from pixelwise.observer import Observer
    from pixelwise.prediction.options import PaletteName
    from pixelwise.prediction.segmenter import Segmenter

MASK_ENDINGS = (".tif", ".tiff")
_ROWS = 512


class LargePrediction:
    """Prediction of a network for one large image.

    Its mask is in a temporary file (in the system's folder for them, which TMPDIR changes) that is removed with this
    object; `save` copies it.

    Args:
        segmenter: The segmenter that predicts.
        source: The image.
        observer: Receives the way in which the image is predicted, and progress.

    Attributes:
        source: File of the image.
        size: (height, width) of the image.
        classes: Class names; the position is the class id.
        palette: Official colour of each class.
        multilabel: Whether a pixel may belong to several classes.
        reason: Why the image was predicted in parts.

    Raises:
        DataError: The image cannot be read.
        ResourceError: S601, the disk is full.
    """

    def __init__(self, segmenter: Segmenter, source: InParts, observer: Observer) -> None:
        self.source, self.reason = os.fspath(source.path), source.reason
        self.classes, self.palette = segmenter.classes, segmenter.palette
        self.multilabel = segmenter.model.multilabel
        self._reading = segmenter.reading
        # Removed with this object, or at the end of the process.
        self._folder = tempfile.TemporaryDirectory(prefix="pixelwise-")
        folder = Path(self._folder.name)
        if self.multilabel:
            planes = [Plane(folder / str(class_id), class_id=class_id) for class_id in range(len(self.classes))]
        else:
            planes = [Plane(folder / "0", mask_code("ids", self.classes, self.palette), nodata=IGNORE)]
        self._masks = [plane.path.with_suffix(".tif") for plane in planes]
        with ImageRegions(source.path, segmenter.reading) as image:
            self.size = image.size
            shown = predict_in_parts(segmenter, image, planes, source.reason, folder, observer=observer)
        if shown is None:
            raise AssertionError("a picture was asked for")
        self._shown = shown

    def __repr__(self) -> str:
        shares = [f"{name} {percent(share, 1)} %" for name, share in self._shares()]
        height, width = self.size
        return line("LargePrediction", f"{printable(self.name)} {width}x{height}", names_in_words(shares))

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.overlay()).save(stream, "PNG")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        colors, shares = dict(zip(self.classes, self.palette, strict=True)), self._shares()
        words = [f"{name} {percent(share, 1)} %" for name, share in shares]
        legend = html_legend(words, [colors[name] for name, _ in shares])
        return html_picture(self._repr_png_(), printable(self.name)) + legend

    @property
    def name(self) -> str:
        """Name of the image's file."""
        return os.path.basename(self.source)

    @property
    def labels(self) -> np.ndarray:
        """All class ids, uint8 (H, W), or for a multi-label network uint8 (K, H, W); as many bytes of memory."""
        return self._labels(Rectangle(0, 0, *self.size))

    def part(self, top: int, left: int, height: int, width: int) -> Prediction:
        """The prediction of a rectangle, with its pixels of the image.

        Args:
            top: Index of the first row.
            left: Index of the first column.
            height: Number of rows.
            width: Number of columns.

        Raises:
            DataError: The image is gone, or cannot be read.
            ValueError: The rectangle is empty or leaves the image.
        """
        where = Rectangle(top, left, height, width)
        rows, columns = self.size
        if min(where) < 0 or not (0 < height <= rows - top and 0 < width <= columns - left):
            raise ValueError(
                f"the part is {tuple(where)}; expected one within the {columns}x{rows} pixels of the image"
            )
        with ImageRegions(Path(self.source), self._reading) as image:
            pixels = image.read(where).pixels
        return Prediction(
            image=pixels,
            labels=self._labels(where),
            scores=None,
            classes=self.classes,
            palette=self.palette,
            multilabel=self.multilabel,
            source=self.source,
        )

    def areas(self) -> dict[str, int]:
        """Number of pixels of each class, in the order of class ids."""
        counts = np.zeros((len(self._masks), IGNORE + 1), np.int64)
        for first in range(0, self.size[0], _ROWS):
            band = self._labels(Rectangle(first, 0, min(_ROWS, self.size[0] - first), self.size[1]))
            for number, plane in enumerate(band.reshape(len(self._masks), -1)):
                counts[number] += np.bincount(plane, minlength=IGNORE + 1)
        found = counts[:, 1] if self.multilabel else counts[0]
        return dict(zip(self.classes, found.tolist(), strict=False))

    def overlay(
        self,
        alpha: float = 0.5,
        palette: PaletteName = "official",
        *,
        background: bool = False,
        legend: bool = False,
    ) -> np.ndarray:
        """The reduced image overlaid with the class colours: uint8 (h, w, 3); see `Prediction.overlay`."""
        return self._shown.overlay(alpha, palette, background=background, legend=legend)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        alpha: float = 0.5,
        palette: PaletteName = "official",
        legend: bool = False,
    ) -> tuple[Path, ...]:
        """Write the mask or the reduced overlay, as the extension says, or both into a folder.

        Args:
            path: A `.tif` file for the mask, a tiled TIFF file at the image's position on the map; a multi-label
                prediction has a black and white mask of each class, `NAME-CLASS.tif`. A `.jpg` file for the overlay.
                Without an extension a folder for both.
            alpha: Opacity of the colours in the overlay, 0 (image only) to 1 (colours only).
            palette: Colours of the classes in the overlay: `official` or `cvd`.
            legend: Whether a strip below the overlay names the colours in it.

        Returns:
            The files that were written.

        Raises:
            RecipeError: R217, the extension is none of these.
            ResourceError: S601, the disk is full.
            ValueError: `alpha` is outside 0..1, or there is no such palette.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if target.is_dir() or not ending:
            files = [target / f"{portable(Path(self.name).stem)}{one}" for one in (MASK_ENDINGS[0], OVERLAY_ENDINGS[0])]
            return tuple(one for file in files for one in self.save(file, alpha=alpha, palette=palette, legend=legend))
        if ending in OVERLAY_ENDINGS[:2]:
            write_bytes(target, jpeg(self.overlay(alpha, palette, legend=legend)))
            return (target,)
        if ending not in MASK_ENDINGS:
            raise RecipeError(
                "R217",
                f"`path` {printable(target)}: the prediction of an image in parts cannot be written as "
                f"'{target.suffix}'",
                f"use {MASK_ENDINGS[0]} for the mask, {OVERLAY_ENDINGS[0]} for the overlay, or a folder for both",
            )
        files = [target]
        if self.multilabel:
            names = distinct([portable(f"{target.stem}-{name}") for name in self.classes])
            files = [target.with_name(f"{name}{target.suffix}") for name in names]
        for mask, file in zip(self._masks, files, strict=True):
            with writing(file) as temporary:
                shutil.copyfile(mask, temporary)
        return tuple(files)

    def _labels(self, where: Rectangle) -> np.ndarray:
        """Class ids of a rectangle, uint8 (h, w), or (K, h, w) of 0 and 1."""
        planes = []
        for mask in self._masks:
            with ImageRegions(mask, Reading()) as file:
                planes.append(file.stored(where)[..., 0])
        return (np.stack(planes) // IGNORE) if self.multilabel else planes[0]

    def _shares(self) -> list[tuple[str, float]]:
        """Name and share of the pixels of each class that is in the preview, the largest first."""
        shown = self._shown
        total = shown.labels.shape[-2] * shown.labels.shape[-1]
        found = [(name, pixels / total) for name, pixels in shown.areas().items() if pixels]
        return sorted(found, key=lambda entry: -entry[1])
