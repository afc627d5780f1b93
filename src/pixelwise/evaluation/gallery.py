"""The pictures of an evaluation: its worst, middle and best images, predicted once more and kept.

Only a few images are worth looking at, and which ones is known when all are scored; predicting
them again is cheaper than keeping every prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.evaluation.evaluate import predict_pair
from pixelwise.evaluation.pairs import pairs_of
from pixelwise.evaluation.tally import Measurement
from pixelwise.models import SegmentationModel
from pixelwise.prediction.combinations import indexed, mixed_colors
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.overlays import as_picture, indexed_png, jpeg
from pixelwise.recipes.classes.tables import Color
from pixelwise.recipes.sizes import Size
from pixelwise.records.result import ImageScore
from pixelwise.storage import json_text, write_bytes, write_text
from pixelwise.transforms.resizing import resize_image, resize_labels

SAMPLES = "samples.json"
LONGEST_SIDE = 1280
"""Pictures are for looking at: larger ones are shrunk."""

Kind = Literal["worst", "median", "best"]


class SavedSample(msgspec.Struct, frozen=True, kw_only=True):
    """One image of an evaluation with its pictures, as `samples.json` lists it.

    Attributes:
        kind: Why it was chosen.
        score: Its scores.
        height: Of the pictures.
        width: Of the pictures.
        photo: File name of the photo (JPEG); of other bands than RGB a picture as `as_picture` makes it.
        truth: File name of the labels (palette PNG, 255 = ignored).
        prediction: File name of the prediction (palette PNG).
        combinations: Of multi-label data what the two pictures' values mean: bit k of the number at that place says
            whether class k is there. Empty: values are class ids.
    """

    kind: Kind
    score: ImageScore
    height: int
    width: int
    photo: str
    truth: str
    prediction: str
    combinations: tuple[int, ...] = ()


class SavedSamples(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `samples.json`.

    Attributes:
        classes: Class names.
        palette: Their official colours.
        samples: Worst first, then the middle, then the best.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    samples: tuple[SavedSample, ...]


def choose_samples(
    per_image: Sequence[ImageScore], *, worst: int = 6, median: int = 3, best: int = 3
) -> list[tuple[Kind, ImageScore]]:
    """The images that are worth looking at, by mIoU; each at most once.

    Args:
        per_image: All scores; images without labelled pixels are left out.
        worst: How many from the lower end; at most half of the images.
        median: How many from the middle.
        best: How many from the upper end.
    """
    ordered = sorted(
        (score for score in per_image if not math.isnan(score.miou)), key=lambda score: (score.miou, score.id)
    )
    low = min(worst, (len(ordered) + 1) // 2)
    high = min(best, (len(ordered) - low + 1) // 2)
    rest = ordered[low : len(ordered) - high]
    middle = min(median, len(rest))
    start = min(max(len(ordered) // 2 - low - middle // 2, 0), len(rest) - middle)
    groups: tuple[tuple[Kind, list[ImageScore]], ...] = (
        ("worst", ordered[:low]),
        ("median", rest[start : start + middle]),
        ("best", ordered[len(ordered) - high :][::-1]),
    )
    return [(kind, score) for kind, group in groups for score in group]


def save_samples(model: SegmentationModel, dataset: Dataset, measurement: Measurement, folder: Path) -> SavedSamples:
    """Predict the worst 6, middle 3 and best 3 images again and write their pictures.

    Args:
        model: The model that was measured, on its device.
        dataset: The data it was measured on.
        measurement: What `evaluate_model` found.
        folder: Where `samples.json` and the pictures go; created when missing.

    Returns:
        The content of `samples.json`, which is written last.

    Raises:
        DataError: An image cannot be read any more.
        ResourceError: S601, the disk is full.
    """
    by_id = {sample.id: sample for sample in dataset.samples(measurement.split)}
    saved = []
    with prediction_mode(model):
        for number, (kind, score) in enumerate(choose_samples(measurement.per_image)):
            image, labels = read_pair(by_id[score.id], dataset)
            pictures = _predict(model, by_id[score.id], image, labels, measurement)
            names = [f"{number:02d}-{part}" for part in ("photo.jpg", "truth.png", "prediction.png")]
            photo, truth, prediction = pictures
            combinations, palette = (), dataset.palette
            if dataset.multilabel:
                (truth, prediction), combinations = indexed([truth, prediction])
                palette = mixed_colors(combinations, dataset.palette)
            write_bytes(folder / names[0], jpeg(photo))
            write_bytes(folder / names[1], indexed_png(truth, palette))
            write_bytes(folder / names[2], indexed_png(prediction, palette))
            height, width = truth.shape
            saved.append(
                SavedSample(
                    kind=kind,
                    score=score,
                    height=height,
                    width=width,
                    photo=names[0],
                    truth=names[1],
                    prediction=names[2],
                    combinations=combinations,
                )
            )
    listing = SavedSamples(classes=dataset.classes, palette=dataset.palette, samples=tuple(saved))
    write_text(folder / SAMPLES, json_text(listing))
    return listing


def load_samples(folder: Path) -> SavedSamples | None:
    """Read `samples.json` in `folder`; None when there is none."""
    path = folder / SAMPLES
    return msgspec.json.decode(path.read_bytes(), type=SavedSamples) if path.is_file() else None


def _predict(
    model: SegmentationModel, sample: Sample, image: np.ndarray, labels: np.ndarray, measurement: Measurement
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photo, truth and prediction at the score size, or smaller where that is larger than a screen."""
    protocol = measurement.protocol
    (pair,) = pairs_of(sample, image, labels, (protocol,), measurement.input_size)
    truth = pair.labels
    prediction = predict_pair(model, pair, protocol).cpu().numpy()
    height, width = truth.shape
    size = _at_most((height, width), LONGEST_SIDE)
    return resize_image(as_picture(image), size), resize_labels(truth, size), resize_labels(prediction, size)


def _at_most(size: Size, longest: int) -> Size:
    height, width = size
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
