"""Accumulation of counts and metrics over the images of an evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from torch import Tensor

from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.evaluation.details import counts_in, details_of
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.metrics import METRICS, SCORES, Accumulator, Metric, ScoredImage, Task, Value
from pixelwise.metrics.image import Bands
from pixelwise.metrics.scores import ClassTotals, totals_of
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.records.details import ImageDetails
from pixelwise.records.result import ImageScore
from pixelwise.storage import printable


class ClassExtent(msgspec.Struct, frozen=True, kw_only=True):
    """Occurrence of a class in the images of a split.

    Attributes:
        images: Number of images whose labels contain the class.
        worst_image: Id of the image with the lowest IoU of this class, the first of several; None if no image contains
            it.
        worst_image_iou: IoU of the class in `worst_image`; NaN if no image contains it.
    """

    images: int = 0
    worst_image: str | None = None
    worst_image_iou: float = math.nan


class GroupMeasurement(msgspec.Struct, frozen=True, kw_only=True):
    """Measurement of a group of images.

    Attributes:
        name: Name of the group.
        images: Number of images in the group.
        values: Metric name -> value, for the metrics that are computed for groups.
    """

    name: str
    images: int
    values: dict[str, Value]


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `evaluate_model`; `pixelwise.evaluation.assembling` adds the origin of the weights.

    Attributes:
        task: The classes, and the rules by which they were scored.
        split: Name of the split that was scored.
        protocol: Protocol by which it was scored.
        input_size: (height, width) of the network's input without padding; None if every image had its own size.
        counts: int64 over the whole split: (K, K), rows ground truth, columns prediction; for multi-label data (K, 4),
            the true positives, false positives, false negatives and true negatives of each class.
        values: Metric name -> value; those of `pixelwise.metrics.SCORES` are always present.
        class_extents: Occurrence of each class.
        per_image: Score of each image, in the order of the split.
        groups: Measurement of each group of images, in the order of their names; empty if groups were not requested.
        details: Counts of each image, in the order of the split; empty if they were not requested.
        seconds: Wall time including decoding, of the whole pass, which several protocols may share.
        peak_memory_bytes: Peak memory of this evaluation on a GPU, else of the process so far.
    """

    task: Task
    split: str
    protocol: Protocol
    input_size: Size | None
    counts: np.ndarray
    values: dict[str, Value]
    class_extents: tuple[ClassExtent, ...]
    per_image: tuple[ImageScore, ...]
    groups: tuple[GroupMeasurement, ...] = ()
    details: tuple[ImageDetails, ...] = ()
    seconds: float
    peak_memory_bytes: int

    @property
    def images(self) -> int:
        """Number of scored images."""
        return len(self.per_image)

    @property
    def totals(self) -> ClassTotals:
        """Totals per class, computed from `counts`."""
        return totals_of(self.counts, multilabel=self.task.multilabel)

    @property
    def miou(self) -> float:
        """Mean IoU, 0..1; NaN if nothing is labelled."""
        return self.values["iou"].value

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels that are predicted correctly; NaN if nothing is labelled."""
        return self.values["pixel_accuracy"].value

    @property
    def per_class_iou(self) -> list[float | None]:
        """IoU of each class, with None instead of NaN as in a JSON log."""
        return [None if math.isnan(iou) else iou for iou in self.values["iou"].per_class]


Cell = tuple[int, int, int]
"""Row, column and value of a cell of counts."""


def cells_of(counts: np.ndarray) -> tuple[Cell, ...]:
    """The cells of counts that are not zero, in order."""
    rows, columns = np.nonzero(counts)
    return tuple(zip(rows.tolist(), columns.tolist(), counts[rows, columns].tolist(), strict=True))


class Tally:
    """Accumulates over images: their counts, one score each, the worst image of each class, and every metric.

    Tallies of parts of a split can be merged, in any order.

    Args:
        task: The classes, and the rules by which they are scored; see `task_of`.
        split: Name of the split to score.
        protocol: Protocol by which it is scored.
        input_size: (height, width) of the network's input if the protocol leaves it open.
        metrics: Metrics in addition to the scores computed from the counts (`pixelwise.metrics.SCORES`).
        groups: Sample id -> name of its group; None to score no groups.
        details: Whether to keep what a report shows of each image.
        cells: Whether to keep the cells of the confusion matrix of each image.
    """

    def __init__(
        self,
        task: Task,
        split: str,
        protocol: Protocol,
        input_size: Size | None = None,
        *,
        metrics: Sequence[Metric] = (),
        groups: Mapping[str, str] | None = None,
        details: bool = False,
        cells: bool = False,
    ) -> None:
        self.task, self.split, self.protocol = task, split, protocol
        self.input_size = protocol.seen_size(input_size)
        self.start = time.perf_counter()
        self.total = np.zeros((len(task.classes), 4 if task.multilabel else len(task.classes)), np.int64)
        self.scores: dict[int, ImageScore] = {}
        self.details: dict[int, ImageDetails] | None = {} if details else None
        self.cells: dict[int, tuple[Cell, ...]] | None = {} if cells else None
        self.extents = [_Extent() for _ in task.classes]
        chosen = (*(METRICS.find(name) for name in SCORES), *metrics)
        self.metrics = {metric.name: metric for metric in chosen}
        self.accumulators = {name: metric.accumulator(task) for name, metric in self.metrics.items()}
        self.forgotten: set[str] = set()
        self.group_of = groups
        self.groups: dict[str, _Group] = {}

    def add(
        self,
        pair: EvaluationPair,
        prediction: Tensor,
        confidence: Tensor | None = None,
        probabilities: Bands | None = None,
        *,
        index: int | None = None,
    ) -> None:
        """Add one image.

        Args:
            pair: The image and its labels at the score size.
            prediction: Class ids or bit fields (H, W), on any device.
            confidence: Probability of each predicted class, float32 (H, W), if a metric needs it.
            probabilities: Computes the probabilities of all classes, if a metric needs them.
            index: Position of the image in the split; None if all images are added in order.
        """
        image = ScoredImage(
            pair.sample.id,
            pair.labels,
            prediction,
            self.task,
            index=len(self.scores) if index is None else index,
            confidence=confidence,
            probabilities=probabilities,
        )
        self.add_image(image)

    def add_image(self, image: ScoredImage, details: ImageDetails | None = None, *, counts_only: bool = False) -> None:
        """Add one image.

        Args:
            image: The image.
            details: What a report shows of it; None to find it out, if it is kept.
            counts_only: Whether only its counts are known: metrics that need more are left to whoever knows more.
        """
        self._count(image, details)
        group = self._group(image.id)
        for name, metric in self.metrics.items():
            if counts_only and metric.needs != "counts":
                continue
            try:
                self._update(name, image, group)
            except Exception as error:
                if _is_our_own(name, error):
                    raise
                raise _failure(name, f"at image {printable(image.id)}", error) from error

    def _update(self, name: str, image: ScoredImage, group: _Group | None) -> None:
        if group is None or name not in group.accumulators:
            self.accumulators[name].update(image)
            return
        # Measured once, then added both to the split and to the group.
        one = self.metrics[name].accumulator(self.task)
        one.update(image)
        self.accumulators[name].merge(one)
        group.accumulators[name].merge(one)

    def add_counts(self, id: str, counts: np.ndarray, *, index: int) -> list[str]:
        """Add one image that was scored in parts; metrics that need more than its counts are measured no longer.

        Args:
            id: Sample id.
            counts: int64 (K, K), rows ground truth, columns prediction.
            index: Position of the image in the split.

        Returns:
            Names of these metrics.
        """
        names = [name for name, metric in self.metrics.items() if metric.needs != "counts"]
        self.forget(names)
        image = ScoredImage.of_counts(id, counts, self.task, index)
        self.add_image(image, ImageDetails(id=id, **counts_in(image)), counts_only=True)
        return names

    def forget(self, names: Iterable[str]) -> None:
        """Measure some metrics no longer."""
        for name in names:
            self.forgotten.add(name)
            self.accumulators.pop(name, None)
            self.metrics.pop(name, None)
            for group in self.groups.values():
                group.accumulators.pop(name, None)

    def merge(self, other: Tally) -> None:
        """Add the images of another part of the same split, measured with the same settings; `other` is unchanged."""
        self.total += other.total
        self.scores |= other.scores
        if self.details is not None:
            self.details |= other.details or {}
        if self.cells is not None:
            self.cells |= other.cells or {}
        self.extents = [ours.plus(theirs) for ours, theirs in zip(self.extents, other.extents, strict=True)]
        self.forget(other.forgotten)
        for name, accumulator in self.accumulators.items():
            accumulator.merge(other.accumulators[name])
        for name, group in other.groups.items():
            mine = self.group(name)
            mine.images += group.images
            for metric, accumulator in mine.accumulators.items():
                accumulator.merge(group.accumulators[metric])

    def _count(self, image: ScoredImage, details: ImageDetails | None) -> None:
        self.total += image.counts
        found = image.totals.scores()
        self.scores[image.index] = ImageScore(
            id=image.id,
            miou=found.miou,
            pixel_accuracy=found.pixel_accuracy,
            labelled_pixels=int(image.counts[0].sum()) if self.task.multilabel else sum(found.pixels),
            iou=tuple(None if math.isnan(iou) else iou for iou in found.iou),
        )
        if self.details is not None:
            self.details[image.index] = details_of(image) if details is None else details
        if self.cells is not None:
            self.cells[image.index] = cells_of(image.counts)
        for class_id, (pixels, iou) in enumerate(zip(found.pixels, found.iou, strict=True)):
            if pixels:
                self.extents[class_id] = self.extents[class_id].plus(_Extent(1, (iou, image.index, image.id)))

    def _group(self, id: str) -> _Group | None:
        if self.group_of is None:
            return None
        group = self.group(self.group_of[id])
        group.images += 1
        return group

    def group(self, name: str) -> _Group:
        """The group of this name, which is begun if there is none."""
        if name not in self.groups:
            chosen = {name: metric.accumulator(self.task) for name, metric in self.metrics.items() if metric.groups}
            self.groups[name] = _Group(chosen)
        return self.groups[name]

    def measurement(self, peak_memory_bytes: int = 0) -> Measurement:
        """The measurement of all added images.

        Args:
            peak_memory_bytes: Peak memory of the evaluation.
        """
        return Measurement(
            task=self.task,
            split=self.split,
            protocol=self.protocol,
            input_size=self.input_size,
            counts=self.total,
            values=self._values(self.accumulators),
            class_extents=tuple(extent.public() for extent in self.extents),
            per_image=tuple(self.scores[index] for index in sorted(self.scores)),
            groups=tuple(
                GroupMeasurement(name=name, images=group.images, values=self._values(group.accumulators))
                for name, group in sorted(self.groups.items())
            ),
            details=tuple(self.details[index] for index in sorted(self.details)) if self.details else (),
            seconds=time.perf_counter() - self.start,
            peak_memory_bytes=peak_memory_bytes,
        )

    def _values(self, accumulators: Mapping[str, Accumulator]) -> dict[str, Value]:
        values = {}
        for name, accumulator in accumulators.items():
            try:
                values[name] = _plain(accumulator.compute(), len(self.task.classes))
            except Exception as error:
                if _is_our_own(name, error):
                    raise
                raise _failure(name, "at the end", error) from error
        return values


def task_of(classes: tuple[str, ...], protocol: Protocol, *, multilabel: bool = False) -> Task:
    """The classes, and the rules by which a protocol scores them.

    Args:
        classes: Names of the classes.
        protocol: Protocol that defines the treatment of absent classes.
        multilabel: Whether labels and predictions are bit fields, so that each class has its own binary counts.
    """
    return Task(classes=classes, multilabel=multilabel, absent=protocol.absent)


def _plain(found: Value, num_classes: int) -> Value:
    """The value as Python floats, whatever numeric type the metric uses.

    Raises:
        ValueError: The number of per-class values is neither 0 nor that of the classes.
    """
    if len(found.per_class) not in (0, num_classes):
        raise ValueError(f"it returned {len(found.per_class)} per-class values for {num_classes} classes")
    interval = None if found.interval is None else (float(found.interval[0]), float(found.interval[1]))
    if interval is not None and math.isnan(sum(interval)):
        interval = None  # it is undefined, as for a single image
    bins = tuple(tuple(map(float, row)) for row in found.bins)
    return Value(value=float(found.value), per_class=tuple(map(float, found.per_class)), interval=interval, bins=bins)


def _is_our_own(name: str, error: Exception) -> bool:
    """Whether an error explains itself, or comes from a built-in metric."""
    return isinstance(error, PixelwiseError) or name in METRICS.own()


def _failure(name: str, where: str, error: Exception) -> RecipeError:
    """The error for a plug-in's metric that failed, naming the metric and its module."""
    return RecipeError(
        "R226",
        f"metric '{name}' of {METRICS.module_of(name)} failed {where}: {type(error).__name__}: {error}",
        "leave that metric out, or repair it with the help of `pixelwise.testing.check_metric`",
    )


class _Group:
    """Images of a group so far: their number and their metrics."""

    def __init__(self, accumulators: dict[str, Accumulator]) -> None:
        self.images = 0
        self.accumulators = accumulators


class _Extent(NamedTuple):
    """Number of images so far that contain a class, and the worst one as (IoU, position in the split, id)."""

    images: int = 0
    worst: tuple[float, int, str] | None = None

    def plus(self, other: _Extent) -> _Extent:
        both = [worst for worst in (self.worst, other.worst) if worst is not None]
        return _Extent(self.images + other.images, min(both, default=None))

    def public(self) -> ClassExtent:
        if self.worst is None:
            return ClassExtent(images=self.images)
        iou, _, id = self.worst
        return ClassExtent(images=self.images, worst_image=id, worst_image_iou=iou)
