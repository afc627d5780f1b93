"""What one evaluation found: the counts of its images and its metrics, added up."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from torch import Tensor

from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.metrics import METRICS, SCORES, Accumulator, Metric, ScoredImage, Task, Value
from pixelwise.metrics.image import Bands
from pixelwise.metrics.scores import ClassTotals, totals_of
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.records.result import ImageScore
from pixelwise.storage import printable


class ClassExtent(msgspec.Struct, frozen=True, kw_only=True):
    """In which images a class occurs.

    Attributes:
        images: Images whose labels hold the class.
        worst_image: Id of the one with the lowest IoU of this class, the first of several; None without any.
        worst_image_iou: That IoU; NaN without any.
    """

    images: int = 0
    worst_image: str | None = None
    worst_image_iou: float = math.nan


class GroupMeasurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a group of images.

    Attributes:
        name: The group's name.
        images: Number of its images.
        values: Per metric that is given for groups, by name.
    """

    name: str
    images: int
    values: dict[str, Value]


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate_model` found; `pixelwise.evaluation.assembling` adds where the weights come from.

    Attributes:
        task: The classes, and how they were scored.
        split: The split that was scored.
        protocol: The protocol by which it was scored.
        input_size: The size that the network saw, padding left out; None when every image had its own.
        counts: int64 over the whole split, (K, K) with rows truth and columns prediction; of multi-label data, where no
            class excludes another, (K, 4): TP, FP, FN, TN of each class.
        values: What each metric found, by name; those of `pixelwise.metrics.SCORES` are always there.
        class_extents: One per class.
        per_image: One score per image, in the order of the split.
        groups: One per group of images, in the order of their names; empty where groups were not asked for.
        seconds: Wall time, decoding included; that of the whole pass, which several protocols may share.
        peak_memory_bytes: On a GPU of this evaluation, else of the process so far.
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
    seconds: float
    peak_memory_bytes: int

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.per_image)

    @property
    def totals(self) -> ClassTotals:
        """The sums of the counts."""
        return totals_of(self.counts, multilabel=self.task.multilabel)

    @property
    def miou(self) -> float:
        """Mean IoU, 0..1; NaN where nothing is labelled."""
        return self.values["iou"].value

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN where nothing is labelled."""
        return self.values["pixel_accuracy"].value

    @property
    def per_class_iou(self) -> list[float | None]:
        """IoU of each class, None where it has none: what a JSON log holds."""
        return [None if math.isnan(iou) else iou for iou in self.values["iou"].per_class]


class Tally:
    """Adds up images: their counts, one score each, the worst image of each class, and every metric.

    Tallies of parts of a split can be merged, in any order.

    Args:
        task: What is scored; see `task_of`.
        split: The split that is scored.
        protocol: The protocol by which it is scored.
        input_size: (height, width) that the network sees where the protocol leaves it open.
        metrics: What is measured besides the scores of the counts (`pixelwise.metrics.SCORES`).
        groups: Sample id -> name of its group; None: no groups are scored.
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
    ) -> None:
        self.task, self.split, self.protocol = task, split, protocol
        self.input_size = protocol.seen_size(input_size)
        self.start = time.perf_counter()
        self.total = np.zeros((len(task.classes), 4 if task.multilabel else len(task.classes)), np.int64)
        self.scores: dict[int, ImageScore] = {}
        self.extents = [_Extent() for _ in task.classes]
        chosen = (*(METRICS.find(name) for name in SCORES), *metrics)
        self.metrics = {metric.name: metric for metric in chosen}
        self.accumulators = {name: metric.accumulator(task) for name, metric in self.metrics.items()}
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
        """Count one image.

        Args:
            pair: Its labels are at the score size.
            prediction: (H, W) class ids or bit fields, on any device.
            confidence: (H, W) float32, probability of each of them, where a metric needs it.
            probabilities: Gives those of all classes, where a metric needs them.
            index: Position of the image in the split; None: images are added in order, none left out.
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
        self._count(image)
        group = self._group(image.id)
        for name in self.accumulators:
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
        # Measured once, added twice.
        one = self.metrics[name].accumulator(self.task)
        one.update(image)
        self.accumulators[name].merge(one)
        group.accumulators[name].merge(one)

    def merge(self, other: Tally) -> None:
        """Add the images of another part of the same split, measured in the same way; `other` is not changed."""
        self.total += other.total
        self.scores |= other.scores
        self.extents = [ours.plus(theirs) for ours, theirs in zip(self.extents, other.extents, strict=True)]
        for name, accumulator in self.accumulators.items():
            accumulator.merge(other.accumulators[name])
        for name, group in other.groups.items():
            mine = self.groups.setdefault(name, self._new_group())
            mine.images += group.images
            for metric, accumulator in mine.accumulators.items():
                accumulator.merge(group.accumulators[metric])

    def _count(self, image: ScoredImage) -> None:
        self.total += image.counts
        found = image.totals.scores()
        self.scores[image.index] = ImageScore(
            id=image.id,
            miou=found.miou,
            pixel_accuracy=found.pixel_accuracy,
            labelled_pixels=int(image.counts[0].sum()) if self.task.multilabel else sum(found.pixels),
        )
        for class_id, (pixels, iou) in enumerate(zip(found.pixels, found.iou, strict=True)):
            if pixels:
                self.extents[class_id] = self.extents[class_id].plus(_Extent(1, (iou, image.index, image.id)))

    def _group(self, id: str) -> _Group | None:
        if self.group_of is None:
            return None
        group = self.groups.setdefault(self.group_of[id], self._new_group())
        group.images += 1
        return group

    def _new_group(self) -> _Group:
        return _Group({name: metric.accumulator(self.task) for name, metric in self.metrics.items() if metric.groups})

    def measurement(self, peak_memory_bytes: int = 0) -> Measurement:
        """Everything that was added up.

        Args:
            peak_memory_bytes: The evaluation's.
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
                raise _failure(name, "in the end", error) from error
        return values


def task_of(classes: tuple[str, ...], protocol: Protocol, *, multilabel: bool = False) -> Task:
    """What is scored under a protocol.

    Args:
        classes: Class names.
        protocol: Says what absent classes count.
        multilabel: Whether labels and predictions are bit fields; each class then has counts of its own.
    """
    return Task(classes=classes, multilabel=multilabel, absent=protocol.absent)


def _plain(found: Value, num_classes: int) -> Value:
    """The value in floats of Python, whatever kind of number the metric computes with.

    Raises:
        ValueError: It has neither no number per class nor one for each.
    """
    if len(found.per_class) not in (0, num_classes):
        raise ValueError(f"it gives {len(found.per_class)} numbers for {num_classes} classes")
    interval = None if found.interval is None else (float(found.interval[0]), float(found.interval[1]))
    return Value(value=float(found.value), per_class=tuple(map(float, found.per_class)), interval=interval)


def _is_our_own(name: str, error: Exception) -> bool:
    """Whether an error says all there is to say, or is that of a metric of ours."""
    return isinstance(error, PixelwiseError) or name in METRICS.own()


def _failure(name: str, where: str, error: Exception) -> RecipeError:
    """The error of a plug-in's metric, with the metric and its module by name."""
    return RecipeError(
        "R226",
        f"metric '{name}' of {METRICS.module_of(name)} failed {where}: {type(error).__name__}: {error}",
        "leave that metric out, or repair it; `pixelwise.testing.check_metric` says what a metric must do",
    )


class _Group:
    """The images of a group so far."""

    def __init__(self, accumulators: dict[str, Accumulator]) -> None:
        self.images = 0
        self.accumulators = accumulators


class _Extent(NamedTuple):
    """The images that hold a class so far; the worst one as (IoU, position in the split, id)."""

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
