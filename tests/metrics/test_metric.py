from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.metrics import METRICS, CountsAccumulator, Metric, ScoredImage, Task, Value, register
from pixelwise.metrics.metric import names


class Trace(CountsAccumulator):
    """Number of correctly predicted pixels."""

    def compute(self) -> Value:
        return Value(value=float(np.trace(self.counts)))


def metric(**changes) -> Metric:
    return Metric(**{"name": "trace", "title": "trace", "summary": "Right pixels.", "accumulator": Trace, **changes})


def test_counts_add_up_over_images_and_parts():
    task = Task(classes=("a", "b"))
    one, other = Trace(task), Trace(task)
    labels = np.array([[0, 0, 1, 255]], np.uint8)
    one.update(ScoredImage("x", labels, torch.tensor([[0, 1, 1, 1]], dtype=torch.uint8), task))
    other.update(ScoredImage("y", labels, torch.tensor([[1, 1, 0, 0]], dtype=torch.uint8), task))
    one.merge(other)
    assert one.counts.tolist() == [[1, 3], [1, 1]]
    assert other.counts.tolist() == [[0, 2], [1, 0]]
    assert one.compute().value == 2
    assert Trace(Task(classes=("a", "b", "c"), multilabel=True)).counts.shape == (3, 4)


def test_a_value_that_was_not_found_is_nan():
    assert math.isnan(Value().value)
    assert (Value().per_class, Value().interval) == ((), None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"name": "two words"}, "'two words'"), ({"name": "1st"}, "'1st'"), ({"needs": "confidence"}, "multilabel=False")],
)
def test_a_metric_that_contradicts_itself_is_refused(changes: dict, said: str):
    with pytest.raises(ValueError, match=said):
        metric(**changes)


def test_a_metric_is_known_once_it_is_registered_and_its_name_is_taken():
    own = register(metric())
    try:
        assert METRICS.find("trace") is own
        assert "trace" in names()
        with pytest.raises(RecipeError) as caught:
            register(metric(title="another"))
        assert caught.value.code == "R234"
    finally:
        del METRICS["trace"]


def test_names_of_built_in_metrics_are_taken():
    with pytest.raises(RecipeError, match=r"pixelwise\.metrics\.scores") as caught:
        register(metric(name="iou"))
    assert caught.value.code == "R234"


def test_an_unknown_name_is_refused_with_the_nearest_name():
    with pytest.raises(RecipeError, match="'boundary_iou'") as caught:
        METRICS.find("boundry_iou")
    assert caught.value.code == "R225"
