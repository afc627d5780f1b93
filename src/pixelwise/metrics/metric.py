"""What a metric is, and the registry of all of them.

A metric adds up over the images of a split in an `Accumulator`: one object per metric and part of the data, which
takes image after image, can be merged with that of another part, and computes its `Value` in the end. So the same
metric serves a split, groups of its images and several processes. A module registers its metrics when it is imported:

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
"""What a metric asks of an image, from cheap to expensive: its confusion matrix; the labels and the prediction; the
probability of each pixel's predicted class, too; or the probabilities of all classes."""

PERCENT = "%"
"""Unit of metrics that are fractions: 0..1 in Python and in files, percent wherever people read them."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is scored: all that an accumulator knows before the first image.

    Attributes:
        classes: Class names; the position is the class id.
        multilabel: Whether a pixel may belong to several classes. Labels and predictions are then bit fields.
        absent: What a class in no label and no prediction counts in a mean: it is left out (`skip`) or 0 (`zero`).
    """

    classes: tuple[str, ...]
    multilabel: bool = False
    absent: Literal["skip", "zero"] = "skip"


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric found; a number that does not exist is NaN.

    Attributes:
        value: The one number that tables show; NaN for a metric that has none.
        per_class: One number per class; empty for a metric that does not tell classes apart.
        interval: Lower and upper end of a confidence interval; None for a metric that has none.
    """

    value: float = math.nan
    per_class: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None


class Accumulator(abc.ABC):
    """Adds up what a metric needs, image by image. The order of images and merges must not change the value.

    Objects move between processes, so they can be pickled.

    Args:
        task: What is scored.
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
        """The value over all images so far, also where there were none."""


class CountsAccumulator(Accumulator):
    """Base of metrics that are computed from the counts of the whole split: such a metric adds `compute` only.

    Attributes:
        counts: int64, rows truth and columns prediction (K, K); of multi-label data (K, 4): TP, FP, FN, TN per class.
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
    """A metric by its name.

    Attributes:
        name: A Python identifier: the key in results and what the command line calls it.
        title: What tables call it, in lower case but for abbreviations: `mean Dice`.
        summary: What it measures, as one sentence for lists of metrics.
        accumulator: The class of its accumulators, or a function that makes one from a `Task`; must be picklable.
        needs: What it asks of an image.
        unit: `%` for fractions, which are 0..1 in files and shown in percent; any other unit is shown as it is.
        class_title: What tables call its values per class: `Dice`; empty: `title`.
        default: Whether it is measured without being asked for.
        groups: Whether it is also given for groups of images, where groups are scored.
        multilabel: Whether it is defined where a pixel may belong to several classes.
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
            raise ValueError(f"the metric's name is {self.name!r}; expected a Python identifier such as 'boundary_iou'")
        if self.multilabel and self.needs == "confidence":
            raise ValueError(
                f"metric '{self.name}' needs the probability of the one class that was predicted, which multi-label "
                "networks do not have; declare it with multilabel=False"
            )


# Only what registers one: the rest of the package needs torch, and `evaluate --help` lists metrics.
_BUILT_IN = tuple(f"pixelwise.metrics.{name}" for name in ("bootstrap", "boundary", "calibration", "scores"))

METRICS: Registry[Metric] = Registry("metric", RecipeError, "R225", built_in=_BUILT_IN)
"""Metrics by name. `METRICS.find(name)` imports plug-ins where a name is unknown."""


def register(metric: Metric) -> Metric:
    """Make a metric known by its name.

    Raises:
        RecipeError: R234, the name is taken.
    """
    return METRICS.add(metric.name, metric)


def names() -> list[str]:
    """Names of all metrics, those of installed plug-ins included."""
    return list(METRICS.all())
