"""Contract check for metrics."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pixelwise.metrics import METRICS, Accumulator, Metric, ScoredImage, Task, Value
from pixelwise.metrics.metric import PERCENT
from pixelwise.metrics.states import UnknownKindError, packed, unpacked
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT

CLASSES = ("ground", "box", "ball", "nowhere")
"""Class names; the last class occurs in no label."""
SIZES = ((24, 31), (24, 31), (17, 40), (5, 5), (30, 22))
BAND = 7
"""Number of rows per band of probabilities."""
TOLERANCE = 1e-6
"""Relative tolerance: values summed in another order, or computed in float32, may differ this much."""


def check_metric(metric: str | Metric) -> None:
    """Check that a metric fulfils the contract of `Metric` and `Accumulator`.

    Random images with ignored pixels, one of them completely ignored, are accumulated together and in parts. The value
    must not depend on how the images are divided and merged, nor on the predictions at unlabelled pixels; it can be
    computed without any image, does not change when computed again, and survives pickling; fractions are in 0..1; there
    is one value per class or none; arrays shared between metrics are not modified; the metric uses only the inputs that
    its `needs` declares.

    Args:
        metric: The metric, or the name of a registered one.

    Raises:
        AssertionError: The metric breaks the contract; the message says where.
    """
    metric = METRICS.find(metric) if isinstance(metric, str) else metric
    for text in (metric.title, metric.summary):
        if not text.strip() or "\n" in text:
            raise AssertionError(f"{metric.name}: title or summary is {text!r}; expected one line of text")
    for multilabel in (False, True) if metric.multilabel else (False,):
        for absent in ("skip", "zero"):
            _check_task(metric, Task(classes=CLASSES, multilabel=multilabel, absent=absent))


def _check_task(metric: Metric, task: Task) -> None:
    where = f"{metric.name}{' for multi-label data' if task.multilabel else ''}"
    images = list(_images(metric, task))
    before = [(image.labels.copy(), image.prediction.copy(), image.counts.copy()) for image in images]
    whole = _added(metric, task, images)
    value = whole.compute()
    _check_value(where, metric, task, value)
    _check_value(where, metric, task, metric.accumulator(task).compute())
    _require_same(f"{where}: when computed a second time", whole.compute(), value)
    parts = [_added(metric, task, images[first::3]) for first in (2, 0, 1)]
    parts.append(metric.accumulator(task))
    merged = pickle.loads(pickle.dumps(metric.accumulator(task)))
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    _require_same(f"{where}: when merged from parts", merged.compute(), value)
    with contextlib.suppress(UnknownKindError):  # it cannot be measured by units, then
        merged = metric.accumulator(task)
        for part in parts:
            merged.merge(unpacked(packed(part), metric.accumulator(task)))
        _require_same(f"{where}: when merged from receipts of parts", merged.compute(), value)
    for image, copies in zip(images, before, strict=True):
        for array, copy in zip((image.labels, image.prediction, image.counts), copies, strict=True):
            if not np.array_equal(array, copy):
                raise AssertionError(f"{where}: it modifies an array of `ScoredImage` that other metrics share")
    changed = _added(metric, task, list(_images(metric, task, elsewhere=True)))
    _require_same(f"{where}: with other predictions at unlabelled pixels", changed.compute(), value)


def _added(metric: Metric, task: Task, images: Sequence[ScoredImage]) -> Accumulator:
    accumulator = metric.accumulator(task)
    for image in images:
        accumulator.update(image)
    return accumulator


def _check_value(where: str, metric: Metric, task: Task, found: Value) -> None:
    if len(found.per_class) not in (0, len(task.classes)):
        raise AssertionError(f"{where}: it returns {len(found.per_class)} values for {len(task.classes)} classes")
    numbers = np.array([found.value, *found.per_class, *(found.interval or ())], np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if metric.unit == PERCENT and ((numbers < 0) | (numbers > 1)).any():
        raise AssertionError(f"{where}: its values are {numbers.min()} to {numbers.max()}; expected fractions in 0..1")


def _require_same(where: str, found: Value, expected: Value) -> None:
    ours, theirs = ([one.value, *one.per_class, *(one.interval or ())] for one in (found, expected))
    if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=TOLERANCE, atol=0, equal_nan=True):
        raise AssertionError(f"{where} the value is {found}; expected {expected}")


def _images(metric: Metric, task: Task, *, elsewhere: bool = False) -> Iterator[ScoredImage]:
    """The images of the check; with `elsewhere`, predictions differ at unlabelled pixels."""
    for index, (height, width) in enumerate(SIZES):
        random = np.random.default_rng(index)
        K = len(task.classes)
        logits = random.standard_normal((K, height // 4 + 1, width // 4 + 1))
        logits = np.repeat(np.repeat(3 * logits, 4, 1), 4, 2)[:, :height, :width]
        labels = _labels(logits + random.standard_normal(logits.shape), task)
        void = np.ones((height, width), np.bool_) if index == 3 else random.random((height, width)) < 0.1
        labels[void] = IGNORE_BIT if task.multilabel else IGNORE
        if elsewhere:
            logits = np.where(void, np.roll(logits, 1, 0), logits)
        probabilities = torch.from_numpy(logits).float()
        probabilities = probabilities.sigmoid() if task.multilabel else probabilities.softmax(0)
        sure = probabilities.amax(0)
        yield ScoredImage(
            f"image-{index}",
            labels,
            torch.from_numpy(_labels(logits, task, every=True)),
            task,
            index=index,
            confidence=sure if metric.needs == "confidence" else None,
            probabilities=_Bands(probabilities) if metric.needs == "probabilities" else None,
        )


def _labels(logits: np.ndarray, task: Task, *, every: bool = False) -> np.ndarray:
    """Labels of logits (K, H, W): class ids, or bits for multi-label data; without the last class unless `every`."""
    shown = logits if every else logits[:-1]
    if not task.multilabel:
        return shown.argmax(0).astype(np.uint8)
    bits = [(plane > 0).astype(np.int32) << class_id for class_id, plane in enumerate(shown)]
    return np.bitwise_or.reduce(bits)


class _Bands:
    """Probabilities in bands of rows, from top to bottom."""

    def __init__(self, probabilities: Tensor) -> None:
        self._probabilities = probabilities

    def __call__(self) -> Iterator[tuple[int, Tensor]]:
        for first in range(0, self._probabilities.shape[1], BAND):
            yield first, self._probabilities[:, first : first + BAND]
