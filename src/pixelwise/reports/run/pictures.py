"""The saved images of an evaluation as data URIs: photo, ground truth, prediction and error map."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from pixelwise.evaluation.gallery import Kind, SavedSample, SavedSamples
from pixelwise.prediction.combinations import mixed_colors
from pixelwise.prediction.overlays import jpeg
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage.documents import DocumentError, reading
from pixelwise.transforms.resizing import resize_image, resize_labels

WIDTH = 640
"""Wider pictures are downscaled to this width, about the widest that the page shows."""
BORDER = 5
"""An error within this many pixels of a true class border counts as a misplaced border, not as a wrong region."""
HATCH_PERIOD = 8
# Class ids end at 253, so the palette pictures use 254 for hatch lines and 255 for transparent pixels.
_LINE, _CLEAR = 254, 255
_LINE_COLOR: Color = (128, 128, 128)
ERROR_COLOR: Color = (230, 97, 1)
BORDER_COLOR: Color = (43, 131, 222)
"""Orange for a wrong region, blue for a misplaced border: distinguishable with colour blindness too."""
_WRONG, _BORDER = 0, 1


class Picture(NamedTuple):
    """One image of the report; every layer is a data URI of the same size.

    Attributes:
        kind: `worst`, `median` or `best`.
        id: Sample id.
        miou: mIoU of this image, 0..1.
        pixel_accuracy: Pixel accuracy of this image, 0..1.
        height: Height of every layer in pixels.
        width: Width of every layer in pixels.
        photo: The image as JPEG.
        truth: Ground truth in official and in colour-blind-safe colours; ignored pixels are hatched.
        prediction: Prediction in the same two palettes.
        errors: Wrong pixels in `ERROR_COLOR` and `BORDER_COLOR`; ignored pixels are hatched, the rest transparent.
    """

    kind: Kind
    id: str
    miou: float
    pixel_accuracy: float
    height: int
    width: int
    photo: str
    truth: tuple[str, str]
    prediction: tuple[str, str]
    errors: str


class Swatch(NamedTuple):
    """A class in the legend, with its two colours as `#rrggbb`."""

    name: str
    official: str
    safe: str


def load_pictures(folder: Path, saved: SavedSamples) -> tuple[list[Picture], list[Swatch]]:
    """All pictures, and a legend of the classes that occur in them.

    Args:
        folder: Folder that contains `samples.json`.
        saved: Content of `samples.json`. Samples whose files are missing or damaged are left out.

    Raises:
        DataError: D150, classes, colours and samples do not fit together.
    """
    with reading(folder):
        return _loaded(folder, saved)


def _loaded(folder: Path, saved: SavedSamples) -> tuple[list[Picture], list[Swatch]]:
    palettes = (saved.palette, colorblind_palette(len(saved.classes)))
    pictures, seen = [], np.zeros(256, dtype=bool)
    for sample in saved.samples:
        try:
            with reading(folder):  # of one picture
                photo, truth, prediction = _read(folder, sample)
        except DocumentError:
            continue
        values = (np.bincount(truth.ravel(), minlength=256) > 0) | (np.bincount(prediction.ravel(), minlength=256) > 0)
        own = palettes
        if sample.combinations:
            own = (mixed_colors(sample.combinations, palettes[0]), mixed_colors(sample.combinations, palettes[1]))
            values = _classes_in(sample.combinations, values)
        seen |= values
        pictures.append(_picture(sample, photo, truth, prediction, own))
    legend = [
        Swatch(name, hexadecimal(official), hexadecimal(safe))
        for class_id, (name, official, safe) in enumerate(zip(saved.classes, *palettes, strict=True))
        if seen[class_id]
    ]
    return pictures, legend


def _classes_in(combinations: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Which classes occur, bool (256,), given which combinations of classes do."""
    bits = 0
    for combination, occurs in zip(combinations, values, strict=False):
        bits |= combination if occurs else 0
    return np.array([bool(bits >> class_id & 1) for class_id in range(256)])


def error_map(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Which pixels are wrong, and whether they are near a border.

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids, uint8 (H, W).

    Returns:
        uint8 (H, W): 0 wrong; 1 wrong, but within `BORDER` pixels of a border between two true classes; 254 a hatch
        line over ignored pixels; 255 correct, or between hatch lines.
    """
    size = 2 * BORDER + 1
    window = np.ones((size, size), np.uint8)
    # The edge of an ignored region is not a class border, so ignored pixels must not affect the maximum and minimum.
    largest = cv2.dilate(np.where(truth == IGNORE, 0, truth).astype(np.uint8), window)
    smallest = cv2.erode(truth, window)
    near_border = (largest != smallest) & (smallest != IGNORE)
    wrong = (truth != prediction) & (truth != IGNORE)
    errors = np.full(truth.shape, _CLEAR, np.uint8)
    errors[wrong] = _WRONG
    errors[wrong & near_border] = _BORDER
    errors[_hatch(truth)] = _LINE
    return errors


def hexadecimal(color: Color) -> str:
    """`(128, 64, 128)` -> `#804080`."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _read(folder: Path, sample: SavedSample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = []
    for name in (sample.photo, sample.truth, sample.prediction):
        # The names come from a file: only the last component is used, so that nothing outside the folder is opened.
        with Image.open(folder / Path(name).name, formats=("JPEG", "PNG")) as picture:
            arrays.append(np.asarray(picture))
    photo, truth, prediction = arrays
    height, width = truth.shape
    scale = min(1.0, WIDTH / width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return resize_image(photo, size), resize_labels(truth, size), resize_labels(prediction, size)


def _picture(
    sample: SavedSample,
    photo: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    palettes: tuple[Sequence[Color], Sequence[Color]],
) -> Picture:
    height, width = truth.shape
    official, safe = palettes
    shown, found = _hatched(truth), prediction
    if sample.combinations:
        # Index 0 means no class: show the photo there.
        shown, found = (np.where(values == 0, np.uint8(_CLEAR), values) for values in (shown, found))
    return Picture(
        kind=sample.kind,
        id=sample.score.id,
        miou=sample.score.miou,
        pixel_accuracy=sample.score.pixel_accuracy,
        height=height,
        width=width,
        photo=_data_uri("jpeg", jpeg(photo, quality=82)),
        truth=(_layer(shown, official), _layer(shown, safe)),
        prediction=(_layer(found, official), _layer(found, safe)),
        errors=_layer(error_map(truth, prediction), (ERROR_COLOR, BORDER_COLOR)),
    )


def _hatch(truth: np.ndarray) -> np.ndarray:
    """Diagonal hatch lines over ignored pixels, bool (H, W)."""
    rows, columns = np.indices(truth.shape)
    return (truth == IGNORE) & ((rows + columns) % HATCH_PERIOD < 2)


def _hatched(truth: np.ndarray) -> np.ndarray:
    return np.where(_hatch(truth), np.uint8(_LINE), truth)


def _layer(values: np.ndarray, palette: Sequence[Color]) -> str:
    """A palette PNG in which 255 is transparent and 254 has the colour of hatch lines."""
    colors = [*palette[:_LINE], *[(0, 0, 0)] * (_LINE - len(palette)), _LINE_COLOR, (0, 0, 0)]
    picture = Image.fromarray(values)
    picture.putpalette(np.asarray(colors, np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=_CLEAR)
    return _data_uri("png", stream.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
