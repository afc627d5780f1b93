"""Images of a result with their labels and predictions: those that the run folder keeps, others predicted on demand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Catalog
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.records.details import SavedSample, SavedSamples
from pixelwise.records.evaluations import SAMPLES
from pixelwise.storage import sha256_file
from pixelwise.storage.documents import DocumentError, reading

_PLAIN_NAME = re.compile(r"[\w-]+\.(jpg|png)")
MOST_BYTES = 64 << 20
"""Bytes of images with labels and predictions that stay in memory."""


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

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return self.photo.nbytes + self.truth.nbytes + self.prediction.nbytes


class Kept(NamedTuple):
    """What a result's folder keeps: its pictures by the id of the image, and the classes' colours."""

    samples: dict[str, SavedSample]
    palette: tuple[Color, ...]


def kept_of(saved: SavedSamples | None) -> Kept:
    """What a list of pictures tells to be kept; nothing without a list, or of multi-label data."""
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


def state_of_kept(catalog: Catalog, evaluation: Path, sample: SavedSample) -> str | None:
    """The hash of what is kept of the labels and the prediction of an image; None if they cannot be read."""
    names = sample.truth, sample.prediction
    paths = [evaluation / SAMPLES / name for name in names]
    if not all(map(_PLAIN_NAME.fullmatch, names)) or not all(map(catalog.holds, paths)):
        return None
    try:
        return " ".join(map(sha256_file, paths))
    except (OSError, PixelwiseError):
        return None


def _opened(path: Path, sample: SavedSample) -> Image.Image:
    picture = Image.open(path)
    # Known before it is decoded: a small file can hold a huge picture.
    if picture.size != (sample.width, sample.height):
        raise ValueError(f"{path.name} is {picture.size}; expected {(sample.width, sample.height)}")
    if path.suffix == ".png" and picture.mode not in ("P", "L"):
        raise ValueError(f"{path.name} has no class ids")
    return picture
