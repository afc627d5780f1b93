from __future__ import annotations

import msgspec
import pytest

from pixelwise.records.log import EvaluationRecord, Log
from pixelwise.reports.run.curves import class_curves
from pixelwise.reports.run.records import read_run


@pytest.fixture
def run(finished_run):
    return read_run(finished_run)


def logged(run, *rows: tuple[int, tuple[float | None, ...]], split: str = "val"):
    records = [
        EvaluationRecord(step=step, split=split, protocol="native", miou=0.5, per_class_iou=iou) for step, iou in rows
    ]
    return msgspec.structs.replace(run, log=Log(tuple(records)))


def test_a_curve_goes_from_left_to_right_and_upwards(run):
    (curve, _) = class_curves(logged(run, (10, (0.0, 0.5)), (20, (1.0, 0.5)), (30, (0.75, 0.5))), ["road", "car"])

    assert curve.name == "road"
    assert curve.points == "0.0,36.0 60.0,0.0 120.0,9.0"
    assert (curve.best, curve.last) == ((60.0, 0.0), "75.0")
    assert curve.summary == "IoU of road: 0.0 to 75.0 %, best 100.0 % at step 20."


def test_evaluations_without_an_iou_are_left_out(run):
    curves = class_curves(logged(run, (1, (None, 0.1)), (2, (0.5, None)), (3, (0.25, None))), ["road", "car"])

    assert [curve.name for curve in curves] == ["road"]
    assert curves[0].points == "60.0,18.0 120.0,27.0"


def test_one_evaluation_is_no_curve(run):
    assert class_curves(logged(run, (1, (0.5, 0.5))), ["road", "car"]) == []


def test_other_numbers_of_classes_are_not_drawn(run):
    assert class_curves(logged(run, (1, (0.5,)), (2, (0.5,))), ["road", "car"]) == []


def test_the_log_of_a_finished_run_gives_a_curve_per_class(run):
    assert [curve.name for curve in class_curves(run, ["a", "b", "c", "d"])] == ["a", "b", "c", "d"]
