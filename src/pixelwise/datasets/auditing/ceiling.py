"""Upper bound on the mIoU of a network with coarse output, measured by downsampling and upsampling the ground truth.

A head with output stride 8 predicts one class per 8x8 pixels, or class scores that are upsampled. However good its
features are, thin objects such as poles are lost. The ceiling says how much mIoU that costs on given labels.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import cv2
import msgspec
import numpy as np

from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import remembered, sha256_bytes
from pixelwise.storage.cache_kinds import CEILING
from pixelwise.storage.caches import subject_of
from pixelwise.transforms.resizing import resize_labels

STRIDES = (4, 8, 16, 32)
MOST_IMAGES = 64
_MOST_PIXELS = 24_000_000


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """The best mIoU at one output stride.

    Attributes:
        stride: The output stride that was measured.
        nearest: mIoU (0..1) after nearest-neighbour downsampling and upsampling; NaN if no pixel is labelled.
        bilinear: mIoU of the argmax over class shares, averaged per cell and upsampled bilinearly.
        per_class: IoU of each class for `bilinear`; NaN for classes that do not occur.
        images: Number of measured images.
    """

    stride: int
    nearest: float
    bilinear: float
    per_class: tuple[float, ...]
    images: int


def measure_ceiling(dataset: Dataset, samples: Sequence[Sample]) -> tuple[Ceiling, ...]:
    """Measure the ceiling at every stride of `STRIDES`, on at most `MOST_IMAGES` evenly spaced samples.

    The result is cached in the user's cache folder.

    Args:
        dataset: The data set, whose label table and reading options are used.
        samples: Samples to measure; those without a mask or with an unreadable one are skipped. Fewer are measured
            if the masks are large, so that the measurement takes seconds.
    """
    with_masks = array("q", (row for row, sample in enumerate(samples) if sample.mask_path is not None))
    chosen = [samples[with_masks[place]] for place in _evenly(len(with_masks), MOST_IMAGES)]
    described = msgspec.json.encode((CEILING.version, dataset.label_table, dataset.reading, dataset.classes))
    paths = [sample.mask_path for sample in chosen if sample.mask_path is not None]
    key = sha256_bytes(described + stat_signature(paths).encode())[:24]
    return remembered(
        CEILING,
        key,
        tuple[Ceiling, ...],
        lambda: _measure(dataset, chosen),
        subject=subject_of(dataset.root.absolute(), dataset.reading, dataset.classes, [s.id for s in chosen]),
    )


def _measure(dataset: Dataset, chosen: Sequence[Sample]) -> tuple[Ceiling, ...]:
    first = _labels(chosen[0], dataset) if chosen else None
    if first is not None:
        chosen = [chosen[place] for place in _evenly(len(chosen), max(4, _MOST_PIXELS // max(1, first.size)))]
    num_classes = len(dataset.classes)
    with thread_pool(reading_threads()) as pool:
        counts = [count for count in pool.map(lambda s: _count_sample(s, dataset), chosen) if count is not None]
    total = sum(counts, np.zeros((len(STRIDES), 2, 3, num_classes), np.int64))
    return tuple(_ceiling(stride, total[index], len(counts)) for index, stride in enumerate(STRIDES))


def count_overlap(labels: np.ndarray, stride: int, num_classes: int) -> np.ndarray:
    """Count how much of one mask survives an output stride.

    Args:
        labels: uint8 (H, W) class ids, 255 = ignored. Pixels that are ignored here or in the upsampled mask are not
            counted.
        stride: Output stride; the small mask has ceil(H / stride) rows and ceil(W / stride) columns.
        num_classes: Number of classes, K.

    Returns:
        int64 (2, 3, K): for nearest and bilinear, the number of correct, of ground-truth and of predicted pixels of
        each class.
    """
    height, width = labels.shape
    small = (-(-height // stride), -(-width // stride))
    nearest = resize_labels(resize_labels(labels, small), (height, width))
    return np.stack([_overlap(labels, nearest, num_classes), _overlap(labels, _bilinear(labels, small), num_classes)])


def _bilinear(labels: np.ndarray, small: tuple[int, int]) -> np.ndarray:
    """Argmax of the bilinearly upsampled class shares of the cells, uint8 (H, W).

    Classes are processed one by one, so that memory does not grow with their number.
    """
    height, width = labels.shape
    best = np.zeros(labels.shape, np.float32)
    winner = np.full(labels.shape, IGNORE, np.uint8)
    for class_id in np.unique(labels).tolist():
        if class_id == IGNORE:
            continue
        share = cv2.resize((labels == class_id).astype(np.float32), small[::-1], interpolation=cv2.INTER_AREA)
        share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
        larger = share > best
        winner[larger] = class_id
        np.maximum(best, share, out=best)
    return winner


def _overlap(labels: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    counted = (labels != IGNORE) & (prediction != IGNORE)
    truth, predicted = labels[counted], prediction[counted]
    rows = (truth[truth == predicted], truth, predicted)
    return np.stack([np.bincount(row, minlength=num_classes)[:num_classes] for row in rows])


def _ceiling(stride: int, counts: np.ndarray, images: int) -> Ceiling:
    right, truth, predicted = counts[:, 0], counts[:, 1], counts[:, 2]
    union = truth + predicted - right
    iou = np.where(union > 0, right / np.maximum(union, 1), np.nan)
    means = [float(np.nanmean(row)) if np.isfinite(row).any() else float("nan") for row in iou]
    return Ceiling(stride=stride, nearest=means[0], bilinear=means[1], per_class=tuple(iou[1].tolist()), images=images)


def _count_sample(sample: Sample, dataset: Dataset) -> np.ndarray | None:
    labels = _labels(sample, dataset)
    if labels is None:
        return None
    return np.stack([count_overlap(labels, stride, len(dataset.classes)) for stride in STRIDES])


def _labels(sample: Sample, dataset: Dataset) -> np.ndarray | None:
    try:
        return read_labels(sample, dataset)
    except DataError:
        return None  # the audit reports what is wrong with it


def _evenly(number: int, most: int) -> list[int]:
    step = max(1.0, number / most)
    return [int(index * step) for index in range(min(most, number))]
