import math

import msgspec
import pytest
from results import miniature
from tracked_runs import evaluation, step

from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import FinishedRecord, ResumeRecord
from pixelwise.records.status import Pace
from pixelwise.records.tracking.series import (
    parameters_of,
    points_of,
    points_of_pace,
    points_of_result,
    tags_of,
)


def test_a_step_has_loss_learning_rate_and_norm():
    assert points_of(step(4), ()) == [("train/loss", 4, 0.25), ("train/lr", 4, 0.5), ("train/grad_norm", 4, 2.0)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_point(value: float):
    assert [point.name for point in points_of(step(4, value), ())] == ["train/lr", "train/grad_norm"]


def test_an_evaluation_has_a_point_for_each_class_that_is_defined():
    assert points_of(evaluation(2), ("road", "sky")) == [
        ("val-native/miou", 2, 0.25),
        ("val-native/pixel_accuracy", 2, 0.5),
        ("val-native/iou/road", 2, 0.25),
    ]
    assert len(points_of(evaluation(2), ("road",))) == 2  # another number of classes


def test_classes_whose_names_become_equal_remain_two():
    scores = msgspec.structs.replace(evaluation(2), per_class_iou=(0.25, 0.5))
    assert [point.name for point in points_of(scores, ("a/b", "a_b"))][2:] == [
        "val-native/iou/a_b-0",
        "val-native/iou/a_b-1",
    ]


def test_other_records_have_none_and_the_end_has_the_cost():
    assert points_of(ResumeRecord(step=2), ()) == []
    finished = FinishedRecord(step=4, seconds=8.0, peak_memory_bytes=100)
    assert points_of(finished, ()) == [("training/seconds", 4, 8.0), ("training/peak_memory_bytes", 4, 100.0)]
    assert len(points_of(msgspec.structs.replace(finished, peak_memory_bytes=0), ())) == 1


def test_a_pace_has_speed_and_memory_as_far_as_they_were_measured():
    pace = Pace(step=2, seconds=4.0, images_per_second=3.0, memory_bytes=7)
    assert points_of_pace(pace) == [
        ("speed/images_per_second", 2, 3.0),
        ("speed/data_wait_share", 2, 0.0),
        ("speed/memory_bytes", 2, 7.0),
        ("speed/seconds", 2, 4.0),
    ]


def test_a_result_has_its_scores_at_the_step_of_its_weights():
    points = {point.name: (point.step, point.value) for point in points_of_result("val-native", miniature())}
    assert points == {
        "result/val-native/miou": (1200, 0.75),
        "result/val-native/pixel_accuracy": (1200, 0.9),
        "result/val-native/mean_accuracy": (1200, 0.8),
        "result/val-native/iou/grass": (1200, 0.875),
        "result/val-native/iou/path": (1200, 0.625),
    }


def test_parameters_are_the_fields_of_the_recipe_by_their_paths():
    found = parameters_of(recipe("town-demo"))
    assert found["model.family"] == recipe("town-demo").model.__struct_config__.tag
    assert found["optimizer.lr"] == recipe("town-demo").optimizer.lr
    assert not any(isinstance(value, dict) for value in found.values())


def test_tags_name_the_data_and_the_versions_as_far_as_they_are_known():
    environment = Environment(command="pixelwise train x", versions={"torch": "2.12"})
    assert tags_of(environment, DataFacts(fingerprint="f00d")) == {
        "command": "pixelwise train x",
        "device": "auto",
        "data_fingerprint": "f00d",
        "version.torch": "2.12",
    }
