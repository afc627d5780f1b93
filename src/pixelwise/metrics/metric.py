"""The definition of a metric, and the registry of metrics.

A metric is accumulated over the images of a split by an `Accumulator`: one object per metric and part of the data that
is updated image by image, can be merged with that of another part, and finally computes its `Value`. The same metric
thus serves a split, groups of its images and several processes. A module registers its metrics when it is imported:

    register(Metric(name="dice", title="mean Dice", summary="...", accumulator=Dice))
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import numpy as np

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry

if TYPE_CHECKING:
    from pixelwise.metrics.image import ScoredImage

Needs = Literal["counts", "labels", "confidence", "probabilities"]
"""Inputs that a metric needs from an image, from cheap to expensive: its confusion matrix; labels and prediction; also
the probability of each pixel's predicted class; or the probabilities of all classes."""

PERCENT = "%"
"""Unit of metrics that are fractions: 0..1 in Python and in files, percent in everything that people read."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The classes and rules of the scored task, known to an accumulator before the first image.

    Attributes:
        classes: Class names; the position is the class id.
        multilabel: Whether a pixel may belong to several classes; labels and predictions are then bit fields.
        absent: Treatment in a mean of a class without labels and predictions: left out (`skip`) or 0 (`zero`).
    """

    classes: tuple[str, ...]
    multilabel: bool = False
    absent: Literal["skip", "zero"] = "skip"


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a metric; undefined values are NaN.

    Attributes:
        value: The overall value, which tables show; NaN for a metric without one.
        per_class: One value per class; empty for a metric without values per class.
        interval: Lower and upper end of a confidence interval; None for a metric without one.
        bins: Rows of numbers that the value was computed from, such as the counts of each bin of a histogram; empty for
            a metric that keeps none.
    """

    value: float = math.nan
    per_class: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    bins: tuple[tuple[float, ...], ...] = ()


class Accumulator(abc.ABC):
    """Accumulates a metric image by image. The order of images and merges must not change the value.

    Accumulators are passed between processes, so they have to be picklable. If they keep nothing but numbers, texts,
    arrays, and lists and dictionaries of them, they can be measured by units, too, whose receipts hold them.

    Args:
        task: Classes and rules of the scored task.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    @abc.abstractmethod
    def update(self, image: ScoredImage) -> None:
        """Add one image; its arrays are shared with other metrics and must not be changed."""

    @abc.abstractmethod
    def merge(self, other: Any) -> None:
        """Add the images of `other`, an accumulator of the same metric and task, which is not changed."""

    @abc.abstractmethod
    def compute(self) -> Value:
        """The value over all images so far; it has to work without any image, too."""


class CountsAccumulator(Accumulator):
    """Base class for metrics that are computed from the counts of the whole split; they implement `compute` only.

    Attributes:
        counts: int64 (K, K), rows ground truth, columns prediction; for multi-label data (K, 4): TP, FP, FN, TN per
            class.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        K = len(task.classes)
        self.counts = np.zeros((K, 4 if task.multilabel else K), np.int64)

    def update(self, image: ScoredImage) -> None:
        """Add the counts of one image."""
        self.counts += image.counts

    def merge(self, other: Self) -> None:
        """Add the counts of another part."""
        self.counts += other.counts


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """Definition of a metric.

    Attributes:
        name: Name in results and on the command line, a Python identifier.
        title: Name in tables, in lower case except for abbreviations: `mean Dice`.
        summary: One sentence that describes the metric in lists.
        accumulator: Class of its accumulators, or a function that creates one from a `Task`; has to be picklable.
        needs: Inputs that the metric needs from an image.
        unit: `%` for fractions, which are 0..1 in files and shown in percent; any other unit is shown unchanged.
        class_title: Name of the values per class in tables: `Dice`; empty: `title`.
        default: Whether the metric is measured without being requested.
        groups: Whether the metric is also computed for groups of images, if groups are scored.
        multilabel: Whether the metric is defined for data where a pixel may belong to several classes.
    """

    name: str
    title: str
    summary: str
    accumulator: Callable[[Task], Accumulator]
    needs: Needs = "labels"
    unit: str = PERCENT
    class_title: str = ""
    default: bool = False
    groups: bool = True
    multilabel: bool = True

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"the metric name is {self.name!r}; expected a Python identifier such as 'boundary_iou'")
        if self.multilabel and self.needs == "confidence":
            raise ValueError(
                f"metric '{self.name}' needs the probability of the single predicted class, which multi-label networks "
                "do not have; declare it with multilabel=False"
            )


# Only what registers one: the rest of the package needs torch, and `evaluate --help` lists metrics.
_BUILT_IN = tuple(f"pixelwise.metrics.{name}" for name in ("bootstrap", "boundary", "calibration", "scores"))

METRICS: Registry[Metric] = Registry("metric", RecipeError, "R225", built_in=_BUILT_IN)
"""Metrics by name. `METRICS.find(name)` imports plug-ins where a name is unknown."""


def register(metric: Metric) -> Metric:
    """Register a metric under its name.

    Raises:
        RecipeError: R234, the name is already registered.
    """
    return METRICS.add(metric.name, metric)


def names() -> list[str]:
    """Names of all metrics, including those of installed plug-ins."""
    return list(METRICS.all())
