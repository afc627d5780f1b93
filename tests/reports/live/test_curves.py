from __future__ import annotations

import math

import pytest

from pixelwise.observer import TrainingStatus
from pixelwise.records.log import EvaluationRecord, Log, ResumeRecord, StepRecord
from pixelwise.records.status import Pace, RunStatus
from pixelwise.reports.live.curves import POINTS, curves, grouped, percent, picked, rounded, steps_of_an_epoch


def step(number: int, epoch: int = 1, loss: float = 0.5, norm: float | None = None) -> StepRecord:
    return StepRecord(step=number, epoch=epoch, loss=loss, lr=0.001, grad_norm=norm)


def evaluation(number: int, miou: float | None, classes: tuple[float | None, ...] = ()) -> EvaluationRecord:
    return EvaluationRecord(step=number, split="val", protocol="native", miou=miou, per_class_iou=classes)


@pytest.mark.parametrize(
    ("points", "most", "expected"),
    [
        ([], 2, []),
        ([(1.0, 4.0)], 2, [(1.0, 4.0)]),
        ([(1.0, 4.0), (2.0, 6.0), (3.0, 1.0)], 2, [(1.5, 5.0), (3.0, 1.0)]),
        ([(1.0, math.nan), (2.0, 6.0), (3.0, 1.0)], 2, [(1.5, 6.0), (3.0, 1.0)]),
    ],
)
def test_points_are_averaged_in_groups(points: list, most: int, expected: list):
    assert grouped(points, most) == expected


def test_a_group_without_a_finite_value_has_none():
    ((_, value),) = grouped([(1.0, math.inf), (2.0, math.nan)], 1)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("items", "most", "expected"), [([], 2, []), ([1, 2], 2, [1, 2]), ([1, 2, 3], 2, [1, 3]), ([1, 2, 3, 4], 2, [2, 4])]
)
def test_picked_items_end_with_the_last(items: list, most: int, expected: list):
    assert picked(items, most) == expected


def test_a_long_run_embeds_a_bounded_number_of_points():
    log = Log(tuple(step(number) for number in range(1, 5 * POINTS + 4)))
    found = curves(log, RunStatus())["steps"]
    assert {len(values) for values in found.values()} <= set(range(POINTS // 2, POINTS + 1))
    assert found["loss"][-1] == 0.5


def test_curves_of_a_run():
    log = Log(
        (
            step(1, loss=math.nan),
            step(2, loss=0.123456, norm=1.5),
            evaluation(2, 0.5, (0.25, None)),
            ResumeRecord(step=2),
            step(3, epoch=2, norm=math.inf),
            evaluation(3, None),
        )
    )
    status = RunStatus(
        paces=(
            Pace(step=1, seconds=2.5, images_per_second=None),
            Pace(step=3, seconds=7, images_per_second=4, memory_bytes=3 << 29, gpu_memory_bytes=1 << 30),
        )
    )
    assert curves(log, status) == {
        "steps": {"step": [1, 2, 3], "loss": [None, 0.12346, 0.5], "lr": [0.001] * 3, "norm": [None, 1.5, None]},
        "evaluations": {"step": [2, 3], "miou": [50.0, None], "class_step": [2], "classes": [[25.0], [None]]},
        "paces": {
            "step": [1, 3], "seconds": [2.5, 7], "speed": [None, 4], "memory": [None, 1.5], "gpu_memory": [None, 1.0],
        },
        "resumed": [2],
        "per_epoch": 2,
    }  # fmt: skip


def test_steps_of_an_epoch_before_the_second_one_are_those_of_the_plan():
    training = TrainingStatus(
        step=1, steps=12, epoch=1, epochs=3, loss=None, lr=0.1, images_per_second=None, data_wait_share=0, miou=None,
        best_miou=None,
    )  # fmt: skip
    assert steps_of_an_epoch(Log((step(1),)), RunStatus(training=training)) == 4
    assert steps_of_an_epoch(Log((step(1), step(6, epoch=2))), RunStatus(training=training)) == 5
    assert steps_of_an_epoch(Log(), RunStatus()) is None


def test_numbers_are_short_and_never_other_than_numbers():
    assert [percent(value) for value in (None, math.nan, 0.123456, 1.0)] == [None, None, 12.35, 100.0]
    assert [rounded(value) for value in (None, math.inf, 123456.7, 0.000123456)] == [None, None, 123460.0, 0.00012346]
