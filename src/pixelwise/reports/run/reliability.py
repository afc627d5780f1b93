"""Whether a network is as often right as it is sure: the reliability diagram of an evaluation."""

from __future__ import annotations

from typing import NamedTuple

from pixelwise.records.result import Result
from pixelwise.records.scores import CalibrationBin
from pixelwise.reports.numbers import percent, share

SIDE = 100
"""Sides of the diagram in its own units: percent."""


class ReliabilityRow(NamedTuple):
    """A bin of confidence; numbers are in percent, texts for the table.

    Attributes:
        left: Least confidence of the bin.
        width: Width of the bin.
        sure: Mean confidence of its pixels.
        right: Share of its pixels that are predicted correctly.
        weight: Share of all labelled pixels that are in it.
        interval: `87 to 93`.
        sure_text: `90.3`.
        right_text: `88.1`.
        weight_text: `4.2`.
    """

    left: float
    width: float
    sure: float
    right: float
    weight: float
    interval: str
    sure_text: str
    right_text: str
    weight_text: str


class Reliability(NamedTuple):
    """The reliability diagram.

    Attributes:
        rows: The bins that hold pixels, from the least to the greatest confidence.
        summary: What the diagram says, as a sentence.
    """

    rows: list[ReliabilityRow]
    summary: str


def reliability_of(result: Result) -> Reliability | None:
    """The reliability diagram of an evaluation; None if its calibration was not measured."""
    total = sum(one.pixels for one in result.calibration)
    if not total:
        return None
    width = SIDE / len(result.calibration)
    rows = [_row(place * width, width, one, total) for place, one in enumerate(result.calibration) if one.pixels]
    sure = sum(one.confidence for one in result.calibration) / total
    right = sum(one.right for one in result.calibration) / total
    return Reliability(rows, _in_words(sure, right, result.calibration_error))


def _row(left: float, width: float, one: CalibrationBin, total: int) -> ReliabilityRow:
    sure, right, weight = one.confidence / one.pixels, one.right / one.pixels, one.pixels / total
    return ReliabilityRow(
        left=round(left, 3),
        width=round(width, 3),
        sure=round(100 * sure, 3),
        right=round(100 * right, 3),
        weight=round(100 * weight, 3),
        interval=f"{left:.0f} to {left + width:.0f}",
        sure_text=percent(sure, 1),
        right_text=percent(right, 1),
        weight_text=share(weight),
    )


def _in_words(sure: float, right: float, error: float) -> str:
    difference = 100 * (sure - right)
    verdict = "it is as sure as it may be"
    if abs(difference) >= 0.05:
        verdict = f"it is {abs(difference):.1f} points {'too' if difference > 0 else 'less'} sure"
        verdict += "" if difference > 0 else " than it could be"
    return (
        f"On average the network is {percent(sure, 1)} % sure of its class, and {percent(right, 1)} % of the pixels "
        f"are right: {verdict}. The expected calibration error, the mean distance between the two over all pixels, is "
        f"{percent(error)} %."
    )
