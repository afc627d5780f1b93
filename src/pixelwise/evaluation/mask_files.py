"""Scoring masks that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from pixelwise.datasets.labels import table_of
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.metrics import Scores, confusion_matrix, scores
from pixelwise.recipes.classes.tables import ClassSet
from pixelwise.storage import printable


class FileScores(msgspec.Struct, frozen=True, kw_only=True):
    """What `score_files` found.

    Attributes:
        classes: Class names.
        confusion_matrix: int64, rows truth, columns prediction; (K, K + 1) where void predictions are
            misses, the last column, else (K, K).
        scores: Computed from it.
        images: Number of pairs.
    """

    classes: tuple[str, ...]
    confusion_matrix: np.ndarray
    scores: Scores
    images: int


def score_files(
    predictions: Sequence[Path],
    labels: Sequence[Path],
    classes: ClassSet,
    *,
    void_prediction: Literal["miss", "ignore"] = "miss",
    absent: Literal["skip", "zero"] = "skip",
) -> FileScores:
    """Score mask files against mask files, both in the raw ids of a data set.

    Args:
        predictions: Predicted masks.
        labels: True masks, in the same order.
        classes: What raw values mean, in both; `pixelwise.recipes.classes.tables.CITYSCAPES` for `*_labelIds.png`.
        void_prediction: What a labelled pixel is that was predicted as an ignored value: `miss`, as in the
            Cityscapes scripts, or `ignore`: it counts nowhere, which flatters predictions that leave out
            what is difficult.
        absent: What a class without IoU counts in the mean.

    Raises:
        DataError: D201, two masks differ in size; D202 and others of `pixelwise.datasets.reading.images`: a mask
            cannot be read, or holds a value without meaning, which is never booked as another.
        ValueError: There is not one true mask per prediction, or there is none at all.
    """
    if len(predictions) != len(labels) or not labels:
        raise ValueError(f"{len(predictions)} predictions for {len(labels)} true masks; expected one for each")
    dataset = Dataset(
        name="folder",
        root=Path(),
        classes=classes.names,
        palette=classes.palette,
        label_table=table_of(classes.label_table, classes.color_table()),
        splits={},
        reading=Reading(),
    )
    K = len(classes.names)
    total = np.zeros((K, K + 1 if void_prediction == "miss" else K), np.int64)
    for predicted, true in zip(predictions, labels, strict=True):
        truth, found = (read_labels(Sample(str(path), path, path), dataset) for path in (true, predicted))
        if truth.shape != found.shape:
            raise DataError(
                "D201",
                f"{printable(predicted)}: the prediction is {found.shape[0]}x{found.shape[1]} (HxW) but "
                f"{printable(true)} is {truth.shape[0]}x{truth.shape[1]}",
                "write predictions at the size of the label files",
            )
        total += confusion_matrix(truth, found, K, void_prediction=void_prediction).numpy()
    return FileScores(classes=classes.names, confusion_matrix=total, scores=scores(total, absent), images=len(labels))
