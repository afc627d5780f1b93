from __future__ import annotations

import copy
import math
import pickle

import msgspec
import numpy as np
import pytest
import torch

from pixelwise.datasets.samples import Sample
from pixelwise.errors import RecipeError
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.evaluation.tally import Measurement, Tally, task_of
from pixelwise.metrics import METRICS, SCORES, CountsAccumulator, Metric, ScoredImage, Value
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.recipes.protocols import PROTOCOLS, Protocol

CLASSES = ("grass", "path", "pond")
NATIVE = PROTOCOLS["native"]
METRICS_OF_ALL_KINDS = tuple(METRICS.find(name) for name in ("miou_interval", "boundary_iou"))


def pair(id: str, labels: np.ndarray) -> EvaluationPair:
    sample = Sample(id, None, None)  # type: ignore[arg-type]
    return EvaluationPair(sample, np.zeros((*labels.shape, 3), np.uint8), labels)


def ids(*rows: str) -> np.ndarray:
    return np.array([[255 if character == "." else int(character) for character in row] for row in rows], np.uint8)


def tally(**options) -> Tally:
    return Tally(task_of(CLASSES, NATIVE), "val", NATIVE, **options)


def plain(measurement: Measurement) -> str:
    """What must not depend on how a split was divided; NaN equals nothing, its text does."""
    timeless = msgspec.structs.replace(measurement, seconds=0.0, counts=measurement.counts.tolist())
    return repr(timeless)


def test_two_images_by_hand():
    found = tally()
    found.add(pair("a", ids("001", "0..")), torch.from_numpy(ids("011", "000")))
    found.add(pair("b", ids("111", "111")), torch.from_numpy(ids("111", "111")))
    measured = found.measurement(7)

    assert measured.counts.tolist() == [[2, 1, 0], [0, 7, 0], [0, 0, 0]]
    assert tuple(measured.values) == SCORES
    assert measured.values["iou"].per_class[:2] == (2 / 3, 7 / 8)
    assert measured.miou == pytest.approx((2 / 3 + 7 / 8) / 2)
    assert measured.pixel_accuracy == 9 / 10
    assert measured.per_class_iou[2] is None
    assert [(one.id, one.labelled_pixels) for one in measured.per_image] == [("a", 4), ("b", 6)]
    assert measured.per_image[0].miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    grass, path, pond = measured.class_extents
    assert (grass.images, grass.worst_image, grass.worst_image_iou) == (1, "a", 2 / 3)
    assert (path.images, path.worst_image, path.worst_image_iou) == (2, "a", 1 / 2)
    assert (pond.images, pond.worst_image) == (0, None)
    assert math.isnan(pond.worst_image_iou)
    assert (measured.images, measured.peak_memory_bytes, measured.totals.decisions) == (2, 7, 10)


def test_of_several_worst_images_the_first_is_named():
    found = tally()
    for name in "ab":
        found.add(pair(name, ids("01")), torch.from_numpy(ids("00")))
    assert [extent.worst_image for extent in found.measurement().class_extents[:2]] == ["a", "a"]


def test_multi_label_counts_are_four_per_class():
    task = task_of(CLASSES, NATIVE, multilabel=True)
    found = Tally(task, "val", NATIVE)
    labels = np.array([[0, 1, 3, IGNORE_BIT]], np.int32)
    found.add(pair("a", labels), torch.tensor([[0, 3, 1, 3]], dtype=torch.int32))
    measured = found.measurement()
    assert measured.counts.tolist() == [[2, 0, 0, 1], [0, 1, 1, 1], [0, 0, 0, 3]]
    assert measured.per_image[0].labelled_pixels == 3
    assert measured.pixel_accuracy == 7 / 9


def test_the_protocol_says_what_absent_classes_count_and_which_size_is_seen():
    zero = Protocol(name="zero", summary="", absent="zero", input_size=(4, 5))
    found = Tally(task_of(CLASSES, zero), "val", zero, (9, 9))
    found.add(pair("a", ids("01")), torch.from_numpy(ids("01")))
    assert found.measurement().miou == pytest.approx(2 / 3)
    assert found.measurement().input_size == (4, 5)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("parts", [2, 3, 7])
def test_tallies_of_parts_merge_into_that_of_the_split(parts: int, grouped: bool):
    random = np.random.default_rng(0)
    labels, predictions = (random.integers(0, 3, (6, 12, 9)).astype(np.uint8) for _ in range(2))
    labels[random.random(labels.shape) < 0.1] = 255
    labels[4] = 255
    groups = {str(index): "xyz"[index % 3] for index in range(6)} if grouped else None

    def added(indices: range) -> Tally:
        one = tally(metrics=METRICS_OF_ALL_KINDS, groups=groups)
        for index in indices:
            one.add(pair(str(index), labels[index]), torch.from_numpy(predictions[index]), index=index)
        return one

    whole = added(range(6))
    merged, *others = (pickle.loads(pickle.dumps(added(range(first, 6, parts)))) for first in reversed(range(parts)))
    before = [copy.deepcopy(other.total) for other in others]
    for other in others:
        merged.merge(other)
    merged.start = whole.start

    assert plain(merged.measurement()) == plain(whole.measurement())
    assert all(np.array_equal(one, other.total) for one, other in zip(before, others, strict=True))


def test_groups_score_like_their_images_alone():
    labels = [ids("0011", "0011"), ids("1111", "0000"), ids("2222", "2222")]
    predictions = [ids("0111", "0011"), ids("1111", "0100"), ids("2222", "2211")]
    found = tally(metrics=METRICS_OF_ALL_KINDS, groups={"0": "b", "1": "a", "2": "b"})
    alone = {name: tally(metrics=METRICS_OF_ALL_KINDS) for name in "ab"}
    for index, (truth, predicted) in enumerate(zip(labels, predictions, strict=True)):
        found.add(pair(str(index), truth), torch.from_numpy(predicted))
        alone["bab"[index]].add(pair(str(index), truth), torch.from_numpy(predicted))

    groups = found.measurement().groups

    assert [(group.name, group.images) for group in groups] == [("a", 1), ("b", 2)]
    for group in groups:
        assert set(group.values) == {"iou", "pixel_accuracy", "boundary_iou"}
        for name, value in group.values.items():
            assert repr(value) == repr(alone[group.name].measurement().values[name])


def test_an_empty_tally_has_no_score():
    measured = tally(metrics=METRICS_OF_ALL_KINDS).measurement()
    assert math.isnan(measured.miou)
    assert measured.values["miou_interval"].interval is None
    assert (measured.images, measured.groups) == (0, ())


class Faulty(CountsAccumulator):
    """Fails in the way that its metric's name says."""

    how = ""

    def update(self, image: ScoredImage) -> None:
        if self.how == "update":
            raise ZeroDivisionError("nothing to divide")
        super().update(image)

    def compute(self) -> Value:
        if self.how == "compute":
            raise KeyError("lost")
        if self.how == "classes":
            return Value(per_class=(1.0,))
        return Value(value=np.float32(0.5), per_class=tuple(np.ones(3, np.int64)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("update", r"image a: ZeroDivisionError: nothing to divide"),
        ("compute", r"KeyError: 'lost'"),
        ("classes", r"ValueError: .*\b1 .*\b3 classes"),
    ],
)
def test_a_metric_of_another_package_that_fails_is_named(how: str, said: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Faulty, "how", how)
    found = tally(metrics=[Metric(name="faulty", title="x", summary="x", accumulator=Faulty)])
    with pytest.raises(RecipeError, match=said) as caught:
        _ = found.add(pair("a", ids("01")), torch.from_numpy(ids("01"))), found.measurement()
    assert caught.value.code == "R226"
    assert "'faulty'" in caught.value.message


def test_numbers_of_any_kind_become_floats():
    found = tally(metrics=[Metric(name="faulty", title="x", summary="x", accumulator=Faulty)])
    value = found.measurement().values["faulty"]
    assert [type(number) for number in (value.value, *value.per_class)] == [float] * 4


@pytest.mark.parametrize("ends", [(math.nan, math.nan), (0.5, math.nan)])
def test_an_interval_that_is_undefined_is_none(ends: tuple[float, float]):
    class Unsure(CountsAccumulator):
        def compute(self) -> Value:
            return Value(value=0.5, interval=ends)

    found = tally(metrics=[Metric(name="unsure", title="x", summary="x", accumulator=Unsure)])
    assert found.measurement().values["unsure"] == Value(value=0.5)


def test_a_prediction_outside_the_classes_is_not_blamed_on_a_metric():
    with pytest.raises(ValueError, match=r"\b0\.\.2"):
        tally().add(pair("a", ids("01")), torch.from_numpy(ids("03")))
