"""Predictions that masks are filled from: of any run on the pages, matched by the names of the classes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelwise.datasets.reading.images import read_image
from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.transforms.resizing import resize_labels

if TYPE_CHECKING:
    from pixelwise.prediction.segmenter import Segmenter


class Filler:
    """Predicts one image at a time; the network of the run that was asked for last stays in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: Path | None = None
        self._segmenter: Segmenter | None = None

    def predict(self, run: Path, image: Path, classes: Sequence[str], size: tuple[int, int]) -> np.ndarray:
        """What a run sees in an image, as class ids of a data set: uint8 (H, W), 255 for classes that it lacks.

        Args:
            run: The run folder.
            image: The image file.
            classes: Class names of the data set.
            size: (height, width) of the mask.

        Raises:
            Uneditable: The run has no class of these names, or cannot predict the image.
        """
        # Imported by whoever predicts, which is never the server.
        from pixelwise.prediction.loading import load

        with self._lock:
            try:
                if self._run != run or self._segmenter is None:
                    self._segmenter = None  # before the next network needs the memory
                    self._segmenter, self._run = load(run), run
                segmenter = self._segmenter
                ids = np.full(256, IGNORE, np.uint8)
                shared = {place: classes.index(name) for place, name in enumerate(segmenter.classes) if name in classes}
                ids[list(shared)] = list(shared.values())
                if not shared:
                    raise Uneditable("The run has no class of the same name as one of the data set.")
                if segmenter.model.multilabel:
                    raise Uneditable("The run predicts several classes per pixel.")
                found = segmenter.predict(read_image(image, segmenter.reading)).labels
            except (PixelwiseError, OSError) as error:
                raise Uneditable(str(error)) from error
        return resize_labels(ids[found], size)
