"""Scoring of mask files, from any source, against ground-truth masks."""

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
from pixelwise.recipes.class_sets.tables import ClassSet
from pixelwise.storage import printable


class FileScores(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `score_files`.

    Attributes:
        classes: Names of the classes.
        confusion_matrix: int64, rows ground truth, columns prediction; (K, K + 1) if void predictions are misses,
            counted in the last column, else (K, K).
        scores: Scores computed from the confusion matrix.
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
    """Score predicted mask files against ground-truth mask files, both in the raw ids of a data set.

    Args:
        predictions: Files of the predicted masks.
        labels: Files of the ground-truth masks, in the same order.
        classes: Meaning of the raw values in both; for `*_labelIds.png` it is
            `pixelwise.recipes.class_sets.tables.CITYSCAPES`.
        void_prediction: Treatment of a labelled pixel that was predicted as an ignored value: `miss` counts it as a
            miss, as in the Cityscapes scripts; `ignore` does not count it, which favours predictions that leave out
            difficult regions.
        absent: Treatment of a class without IoU in the mean: `skip` leaves it out, `zero` counts it as 0.

    Raises:
        DataError: D201, two masks differ in size; D202 and others, a mask cannot be read or contains a value without
            meaning, which is never counted as a class.
        ValueError: The numbers of predictions and ground-truth masks differ, or there are none.
    """
    if len(predictions) != len(labels) or not labels:
        raise ValueError(f"{len(predictions)} predictions for {len(labels)} ground-truth masks; expected one for each")
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
                f"{printable(predicted)}: the prediction is {found.shape[1]}x{found.shape[0]} (WxH), but "
                f"{printable(true)} is {truth.shape[1]}x{truth.shape[0]}",
                "write predictions at the size of the label files",
            )
        total += confusion_matrix(truth, found, K, void_prediction=void_prediction).numpy()
    return FileScores(classes=classes.names, confusion_matrix=total, scores=scores(total, absent), images=len(labels))
