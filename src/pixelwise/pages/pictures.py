"""Images of a result with their labels and predictions: those that the run folder keeps, others predicted on demand."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from pixelwise.evaluation.gallery import SavedSample, load_samples
from pixelwise.pages.catalog import Catalog
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.records.evaluations import SAMPLES
from pixelwise.storage.documents import DocumentError, reading

_PLAIN_NAME = re.compile(r"[\w-]+\.(jpg|png)")
MOST_PICTURES = 48
"""Images with labels and predictions that stay in memory."""
Value = TypeVar("Value")


class Shown(NamedTuple):
    """An image as the pages show it; all three have the same height and width.

    Attributes:
        photo: The image, uint8 (H, W, 3).
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids, uint8 (H, W).
    """

    photo: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


class Kept(NamedTuple):
    """What a result's folder keeps: its pictures by the id of the image, and the classes' colours."""

    samples: dict[str, SavedSample]
    palette: tuple[Color, ...]


class Newest(Generic[Value]):
    """Remembers the values that were asked for last.

    Args:
        most: How many.
    """

    def __init__(self, most: int = MOST_PICTURES) -> None:
        self._most, self._lock = most, threading.Lock()
        self._values: OrderedDict[object, Value] = OrderedDict()
        self._turns: dict[object, threading.Lock] = {}

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not remembered; by one thread, while others that ask for it wait."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:  # a page asks for several pictures of an image at once, which is predicted once
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
                with self._lock:
                    self._values[key] = value
                    while len(self._values) > self._most:
                        self._values.popitem(last=False)
            finally:
                with self._lock:
                    self._turns.pop(key, None)
            return value


def kept_by(evaluation: Path) -> Kept:
    """What a result's folder keeps; nothing if its list is missing or of multi-label data.

    Raises:
        DataError: D150, the list is damaged.
    """
    saved = load_samples(evaluation / SAMPLES)
    if saved is None:
        return Kept({}, ())
    return Kept({one.score.id: one for one in saved.samples if not one.combinations}, saved.palette)


def load_kept(catalog: Catalog, evaluation: Path, sample: SavedSample) -> Shown | None:
    """The pictures of an image; None if a file is damaged, of another size, or not within the catalog's folders."""
    names = (sample.photo, sample.truth, sample.prediction)
    paths = [evaluation / SAMPLES / name for name in names]
    if not all(map(_PLAIN_NAME.fullmatch, names)) or not all(map(catalog.holds, paths)):
        return None
    try:
        with reading(evaluation):
            photo, truth, prediction = (_opened(path, sample) for path in paths)
            return Shown(
                np.asarray(photo.convert("RGB")), np.asarray(truth, np.uint8), np.asarray(prediction, np.uint8)
            )
    except DocumentError:
        return None


def _opened(path: Path, sample: SavedSample) -> Image.Image:
    picture = Image.open(path)
    # Known before it is decoded: a small file can hold a huge picture.
    if picture.size != (sample.width, sample.height):
        raise ValueError(f"{path.name} is {picture.size}; expected {(sample.width, sample.height)}")
    if path.suffix == ".png" and picture.mode not in ("P", "L"):
        raise ValueError(f"{path.name} has no class ids")
    return picture
