"""The curves of a training as numbers, which the script of the live page draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from pixelwise.records.log import EvaluationRecord, Log, ResumeRecord, StepRecord
from pixelwise.records.status import RunStatus

POINTS = 2000
"""Largest number of points of a curve."""
Item = TypeVar("Item")


def curves(log: Log, status: RunStatus) -> dict[str, Any]:
    """Every curve as lists of equal length, `null` where a value is missing.

    Args:
        log: The log of the run.
        status: Its status, which alone knows times; older runs have none.

    Returns:
        `steps` (step, loss, lr, norm of the gradient), `evaluations` (step, miou and one list per class, in percent),
        `paces` (step, seconds, speed in images per second, memory and GPU memory in GiB), `resumed` (steps), and
        `per_epoch`, the steps of an epoch or None.
    """
    steps = grouped([(one.step, one.loss, one.lr, _number(one.grad_norm)) for one in log.of(StepRecord)])
    evaluations = picked(log.of(EvaluationRecord))
    classes = max((len(one.per_class_iou) for one in evaluations), default=0)
    whole = [one for one in evaluations if len(one.per_class_iou) == classes]
    paces = picked(status.paces)
    return {
        "steps": {
            "step": [rounded(step) for step, _, _, _ in steps],
            "loss": [rounded(loss) for _, loss, _, _ in steps],
            "lr": [rounded(lr) for _, _, lr, _ in steps],
            "norm": [rounded(norm) for _, _, _, norm in steps],
        },
        "evaluations": {
            "step": [one.step for one in evaluations],
            "miou": [percent(one.miou) for one in evaluations],
            "class_step": [one.step for one in whole],
            "classes": [[percent(one.per_class_iou[number]) for one in whole] for number in range(classes)],
        },
        "paces": {
            "step": [one.step for one in paces],
            "seconds": [rounded(one.seconds) for one in paces],
            "speed": [rounded(one.images_per_second) for one in paces],
            "memory": [_gibibytes(one.memory_bytes) for one in paces],
            "gpu_memory": [_gibibytes(one.gpu_memory_bytes) for one in paces],
        },
        "resumed": [one.step for one in log.of(ResumeRecord)],
        "per_epoch": steps_of_an_epoch(log, status),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _gibibytes(size: int | None) -> float | None:
    return None if size is None else rounded(size / 2**30)


def grouped(points: Sequence[tuple[float, ...]], most: int = POINTS) -> list[tuple[float, ...]]:
    """At most `most` points, each the mean of as many consecutive ones without the values that are not finite."""
    size = max(1, math.ceil(len(points) / most))
    return [
        tuple(_mean(values) for values in zip(*points[start : start + size], strict=True))
        for start in range(0, len(points), size)
    ]


def picked(items: Sequence[Item], most: int = POINTS) -> Sequence[Item]:
    """At most `most` of the items, evenly spaced, the last one among them."""
    size = max(1, math.ceil(len(items) / most))
    return items[(len(items) - 1) % size :: size] if items else items


def steps_of_an_epoch(log: Log, status: RunStatus) -> float | None:
    """Number of steps of an epoch; None if that cannot be told."""
    for record in log.of(StepRecord):
        if record.epoch > 1:
            return (record.step - 1) / (record.epoch - 1)
    training = status.training
    return training.steps / training.epochs if training is not None and training.epochs else None


def percent(fraction: float | None) -> float | None:
    """A fraction in percent with two decimals; None if there is none."""
    return None if fraction is None or math.isnan(fraction) else round(100 * fraction, 2)


def rounded(value: float | None) -> float | None:
    """A value with five significant digits, which keeps the page small; None if it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
