"""The saved images of an evaluation as data URIs: photo, ground truth, prediction and error map."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelwise.evaluation.details import BORDER, near_border
from pixelwise.prediction.combinations import mixed_colors
from pixelwise.prediction.overlays import jpeg
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.records.details import Kind, SavedSample, SavedSamples
from pixelwise.storage.documents import DocumentError, reading
from pixelwise.transforms.resizing import resize_image, resize_labels

WIDTH = 640
"""Wider pictures are downscaled to this width, about the widest that the page shows."""
PROBABILITY_BYTES = 3 * 1024**2
"""Pictures of probabilities that would together be larger than this are left out, those of the last images first."""
_LARGEST_PROBABILITY = 512 * 1024
HATCH_PERIOD = 8
# Class ids end at 253, so the palette pictures use 254 for hatch lines and 255 for transparent pixels.
_LINE, _CLEAR = 254, 255
_LINE_COLOR: Color = (128, 128, 128)
ERROR_COLOR: Color = (230, 97, 1)
BORDER_COLOR: Color = (43, 131, 222)
"""Orange for a wrong region, blue for a misplaced border: distinguishable with colour blindness too.

Where there are only two classes, orange is what was invented of the class in question, and blue what was missed."""
_WRONG, _BORDER = 0, 1
SHOWN_FLAT: tuple[Kind, ...] = ("worst", "median", "best")
"""Kinds of images that the page shows side by side; the others are seen in the viewer only."""


class Picture(NamedTuple):
    """One image of the report; every layer is a data URI of the same size.

    Attributes:
        kind: Reason why the image was chosen.
        id: Sample id.
        miou: mIoU of this image, 0..1.
        pixel_accuracy: Pixel accuracy of this image, 0..1.
        height: Height of every layer in pixels.
        width: Width of every layer in pixels.
        photo: The image as JPEG or WebP.
        truth: Ground truth in official and in colour-blind-safe colours, with ignored pixels hatched; two empty texts
            if the image is seen in the viewer only.
        prediction: Prediction in the same two palettes.
        errors: Wrong pixels in `ERROR_COLOR` and `BORDER_COLOR`; ignored pixels are hatched, the rest transparent.
        truth_ids: Ground truth as a PNG in which grey level k is class k, or for multi-label data the k-th of
            `combinations`; 255 = ignored.
        prediction_ids: Prediction as such a PNG.
        combinations: For multi-label data, the class set of each value, as a bit field; empty for other data.
        probabilities: Id of a class -> its probability as grey levels, of any size; empty if that is not known, or
            beyond the budget of the page.
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
    truth_ids: str
    prediction_ids: str
    combinations: tuple[int, ...] = ()
    probabilities: Mapping[int, str] = MappingProxyType({})

    @property
    def flat(self) -> bool:
        """Whether the page shows the picture side by side with others, not in the viewer only."""
        return self.kind in SHOWN_FLAT


class Swatch(NamedTuple):
    """A class in the legend, with its two colours as `#rrggbb`."""

    name: str
    official: str
    safe: str


def load_pictures(
    folder: Path, saved: SavedSamples, foreground: int | None = None
) -> tuple[list[Picture], list[Swatch]]:
    """All pictures, and a legend of the classes that occur in them.

    Args:
        folder: Folder that contains `samples.json`.
        saved: Content of `samples.json`. Samples whose files are missing or damaged are left out.
        foreground: Of two classes, the id of the one in question: errors are what is missed and invented of it. None
            for any other data.

    Raises:
        DataError: D150, classes, colours and samples do not fit together.
    """
    with reading(folder):
        return _loaded(folder, saved, foreground)


def _loaded(folder: Path, saved: SavedSamples, foreground: int | None) -> tuple[list[Picture], list[Swatch]]:
    palettes = (saved.palette, colorblind_palette(len(saved.classes)))
    pictures, seen, left = [], np.zeros(256, dtype=bool), PROBABILITY_BYTES
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
        errors = error_map(truth, prediction, foreground)
        grey = _probabilities(folder, sample)
        left -= sum(map(len, grey.values()))
        picture = _picture(sample, (photo, truth, prediction, errors), own, foreground)
        pictures.append(picture._replace(probabilities=grey) if left >= 0 else picture)
    legend = [
        Swatch(name, hexadecimal(official), hexadecimal(safe))
        for class_id, (name, official, safe) in enumerate(zip(saved.classes, *palettes, strict=True))
        if seen[class_id]
    ]
    return pictures, legend


def _probabilities(folder: Path, sample: SavedSample) -> dict[int, str]:
    """Id of a class -> its probability as a picture; empty if one of the pictures is missing or damaged."""
    found = {}
    for one in sample.levels:
        path = folder / Path(one.picture).name
        try:
            if not one.picture or path.stat().st_size > _LARGEST_PROBABILITY:
                return {}
            data = path.read_bytes()
            with Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
                picture.load()
        except (OSError, ValueError, Image.DecompressionBombError):
            return {}
        found[one.class_id] = data_uri("webp", data)
    return found


def _classes_in(combinations: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Which classes occur, bool (256,), given which combinations of classes do."""
    bits = 0
    for combination, occurs in zip(combinations, values, strict=False):
        bits |= combination if occurs else 0
    return np.array([bool(bits >> class_id & 1) for class_id in range(256)])


def error_map(truth: np.ndarray, prediction: np.ndarray, foreground: int | None = None) -> np.ndarray:
    """Which pixels are wrong, and in which of two ways.

    Args:
        truth: Ground truth, uint8 (H, W); 255 = ignored.
        prediction: Predicted class ids, uint8 (H, W).
        foreground: The class in question where there are only two; None for any other data.

    Returns:
        uint8 (H, W): 0 wrong; 1 wrong, but within `BORDER` pixels of a border between two true classes; 254 a hatch
        line over ignored pixels; 255 correct, or between hatch lines. With a foreground, 1 is what was missed of it,
        and 0 what was invented.
    """
    second = near_border(truth, BORDER) if foreground is None else truth == foreground
    wrong = (truth != prediction) & (truth != IGNORE)
    errors = np.full(truth.shape, _CLEAR, np.uint8)
    errors[wrong] = _WRONG
    errors[wrong & second] = _BORDER
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
    layers: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    palettes: tuple[Sequence[Color], Sequence[Color]],
    foreground: int | None,
) -> Picture:
    """A picture of photo, truth, prediction and errors."""
    photo, truth, prediction, errors = layers
    height, width = truth.shape
    official, safe = palettes
    shown, found = _hatched(truth), prediction
    if sample.combinations:
        # Index 0 means no class: show the photo there.
        shown, found = (np.where(values == 0, np.uint8(_CLEAR), values) for values in (shown, found))
    elif foreground is not None:
        shown, found = (np.where(values == 1 - foreground, np.uint8(_CLEAR), values) for values in (shown, found))
    flat = sample.kind in SHOWN_FLAT
    return Picture(
        kind=sample.kind,
        id=sample.score.id,
        miou=sample.score.miou,
        pixel_accuracy=sample.score.pixel_accuracy,
        height=height,
        width=width,
        photo=data_uri("jpeg", jpeg(photo, quality=82)) if flat else data_uri("webp", _webp(photo)),
        truth=(_layer(shown, official), _layer(shown, safe)) if flat else ("", ""),
        prediction=(_layer(found, official), _layer(found, safe)) if flat else ("", ""),
        errors=_layer(errors, (ERROR_COLOR, BORDER_COLOR)),
        truth_ids=data_uri("png", ids_png(truth)),
        prediction_ids=data_uri("png", ids_png(prediction)),
        combinations=sample.combinations,
    )


def ids_png(values: np.ndarray) -> bytes:
    """A PNG in which the grey level of every pixel is its value, with as few bits per pixel as there are values.

    Args:
        values: uint8 (H, W).
    """
    levels = np.unique(values)
    picture = Image.fromarray(np.searchsorted(levels, values).astype(np.uint8), mode="L")
    # Attaching a palette turns mode L into mode P and changes no value.
    picture.putpalette(np.repeat(levels, 3).astype(np.uint8).tobytes())
    stream = io.BytesIO()
    bits = next(bits for bits in (1, 2, 4, 8) if len(levels) <= 2**bits)
    picture.save(stream, "PNG", bits=bits, optimize=True)
    return stream.getvalue()


def _webp(photo: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "WEBP", quality=72)
    return stream.getvalue()


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
    return data_uri("png", stream.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """A picture as the address of itself; `kind` is `png`, `jpeg` or `webp`."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
