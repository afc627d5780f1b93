"""Pictures of the worst, middle and best images of an evaluation.

Which images are of interest is known only after all are scored, and predicting these few again is cheaper than keeping
every prediction.
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
from pixelwise.observer import DRAWING, SILENT, Observer
from pixelwise.prediction.combinations import indexed, mixed_colors
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.overlays import as_picture, indexed_png, jpeg
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.sizes import Size
from pixelwise.records.result import ImageScore
from pixelwise.storage import json_text, write_bytes, write_text
from pixelwise.storage.documents import read_json
from pixelwise.transforms.resizing import resize_image, resize_labels

SAMPLES = "samples.json"
LONGEST_SIDE = 1280
"""Longest side of a picture in pixels; larger ones are shrunk."""

Kind = Literal["worst", "median", "best"]


class SavedSample(msgspec.Struct, frozen=True, kw_only=True):
    """One image of an evaluation with its pictures, as listed in `samples.json`.

    Attributes:
        kind: Reason why the image was chosen.
        score: Scores of the image.
        height: Height of the pictures.
        width: Width of the pictures.
        photo: File name of the image (JPEG); images that are not RGB are converted by `as_picture`.
        truth: File name of the ground truth (palette PNG, 255 = ignored).
        prediction: File name of the prediction (palette PNG).
        combinations: For multi-label data, the class set of each value in `truth` and `prediction`, as a bit field:
            bit k is set if class k is present. Empty if the values are class ids.
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
    """Content of `samples.json`.

    Attributes:
        classes: Names of the classes.
        palette: Official colour of each class.
        samples: The worst images first, then the middle and the best ones.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    samples: tuple[SavedSample, ...]


def choose_samples(
    per_image: Sequence[ImageScore], *, worst: int = 6, median: int = 3, best: int = 3
) -> list[tuple[Kind, ImageScore]]:
    """Choose the worst, middle and best images by mIoU, each image at most once.

    Args:
        per_image: Scores of all images; images without labelled pixels are left out.
        worst: Number of images with the lowest mIoU, limited to half of all images.
        median: Number of images around the median.
        best: Number of images with the highest mIoU.
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


def save_samples(
    model: SegmentationModel,
    dataset: Dataset,
    measurement: Measurement,
    folder: Path,
    observer: Observer = SILENT,
) -> SavedSamples:
    """Predict the worst 6, middle 3 and best 3 images again and write their pictures.

    Args:
        model: The model that was measured, on its device.
        dataset: The data set it was measured on.
        measurement: The measurement by `evaluate_model`.
        folder: Folder for `samples.json` and the pictures; created if missing.
        observer: Receives the phase, and progress after every image.

    Returns:
        The content of `samples.json`, which is written last.

    Raises:
        DataError: An image can no longer be read.
        ResourceError: S601, the disk is full.
    """
    by_id = {sample.id: sample for sample in dataset.samples(measurement.split)}
    saved, chosen = [], choose_samples(measurement.per_image)
    observer.phase(DRAWING)
    with prediction_mode(model):
        for number, (kind, score) in enumerate(chosen):
            image, labels = read_pair(by_id[score.id], dataset, fit=False)
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
            observer.progress(len(saved), len(chosen))
    listing = SavedSamples(classes=dataset.classes, palette=dataset.palette, samples=tuple(saved))
    write_text(folder / SAMPLES, json_text(listing))
    return listing


def load_samples(folder: Path) -> SavedSamples | None:
    """Content of `samples.json` in `folder`; None if there is no such file.

    Raises:
        DataError: D150, the file is damaged.
    """
    path = folder / SAMPLES
    return read_json(path, SavedSamples) if path.is_file() else None


def _predict(
    model: SegmentationModel, sample: Sample, image: np.ndarray, labels: np.ndarray, measurement: Measurement
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, ground truth and prediction at the score size, shrunk to at most `LONGEST_SIDE`."""
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
