from __future__ import annotations

import math

import pytest

from pixelwise.metrics import Accumulator, CountsAccumulator, Metric, Task, Value
from pixelwise.testing import check_metric


class Share(CountsAccumulator):
    """Share of the labelled pixels that are class 0."""

    def compute(self) -> Value:
        total = int(self.counts.sum())
        return Value(value=int(self.counts[0].sum()) / total if total else math.nan)


class Growing(Share):
    def compute(self) -> Value:
        self.counts[1] += 1
        return super().compute()


class Ranged(Share):
    def compute(self) -> Value:
        return Value(value=float(self.counts.sum()))


class Lonely(Share):
    def compute(self) -> Value:
        return Value(per_class=(0.5,))


class Merging(Share):
    def merge(self, other: Share) -> None:
        self.counts = other.counts


class Writing(Share):
    def update(self, image) -> None:
        super().update(image)
        image.labels[0] = 0


class Everywhere(Share):
    def update(self, image) -> None:
        self.counts[0, 0] += int((image.prediction == 0).sum())
        self.counts[1, 1] += image.prediction.size


class Greedy(Share):
    def update(self, image) -> None:
        super().update(image)
        image.confidence.sum()


class Closed(Share):
    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.sum = lambda: self.counts.sum()


def metric(accumulator: type[Accumulator], **changes) -> Metric:
    texts = {"name": "share", "title": "share", "summary": "One.", **changes}
    return Metric(**texts, multilabel=False, accumulator=accumulator)


def test_a_metric_that_keeps_the_contract_passes() -> None:
    check_metric(metric(Share))


@pytest.mark.parametrize(
    ("accumulator", "pattern"),
    [
        (Growing, r"second time .*Value\("),
        (Ranged, r"\d+\.\d+ .*0\.\.1"),
        (Lonely, r"\b1 \w+ .*\b4 classes"),
        (Merging, r"merged .*Value\("),
        (Writing, "array"),
        (Everywhere, r"unlabelled .*Value\("),
    ],
)
def test_each_fault_is_said(accumulator: type[Accumulator], pattern: str) -> None:
    with pytest.raises(AssertionError, match=pattern):
        check_metric(metric(accumulator))


def test_what_was_not_announced_is_not_there() -> None:
    with pytest.raises(ValueError, match="needs='confidence'"):
        check_metric(metric(Greedy))


def test_what_cannot_be_pickled_fails() -> None:
    with pytest.raises((AttributeError, TypeError)):
        check_metric(metric(Closed))


def test_texts_of_several_lines_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"'a\\nb'"):
        check_metric(metric(Share, summary="a\nb"))
