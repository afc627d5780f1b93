"""Score against cost as SVG: every result a point that leads to its page, and the line of those that none beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 18, 44
"""Margins of the area in which points lie."""
_MOST_TICKS = 9


class Point(NamedTuple):
    """A result to plot: its cost, above 0, and its score, 0..1; NaN for what is not known."""

    id: str
    name: str
    cost: float
    score: float
    interval: str = ""
    pinned: bool = False


class Dot(NamedTuple):
    """A point in the plot.

    Attributes:
        x: Position from the left.
        y: Position from the top.
        title: What is shown when the pointer rests on it.
        label: Its name beside it; empty where there is no room or need.
        anchor: Which end of the label is at the point.
        front: Whether no other result is both cheaper and better.
    """

    id: str
    x: float
    y: float
    title: str
    label: str
    anchor: str
    front: bool
    pinned: bool


class Tick(NamedTuple):
    """A line of the grid, and what it is called."""

    place: float
    text: str


class Plot(NamedTuple):
    """A plot; positions are in a frame of `WIDTH` x `HEIGHT`.

    Attributes:
        axis: Name of the horizontal axis, which is logarithmic.
        summary: What the plot shows, as a sentence.
        dots: The points, those of the front last, so that they are drawn over the others.
        front: Points of the line through the front, as an SVG list.
        across: Ticks of the horizontal axis.
        up: Ticks of the vertical axis.
    """

    axis: str
    summary: str
    dots: list[Dot]
    front: str
    across: list[Tick]
    up: list[Tick]


def plot_of(points: Sequence[Point], axis: str) -> Plot | None:
    """The plot of results; None if fewer than two have both values."""
    known = [one for one in points if one.cost > 0 and not math.isnan(one.score)]
    if len(known) < 2:
        return None
    low, high = _widened(math.log10(min(one.cost for one in known)), math.log10(max(one.cost for one in known)), 0.08)
    worst, best = _widened(min(one.score for one in known), max(one.score for one in known), 0.01)

    def across(cost: float) -> float:
        return round(LEFT + (math.log10(cost) - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def up(score: float) -> float:
        return round(HEIGHT - BOTTOM - (score - worst) / (best - worst) * (HEIGHT - TOP - BOTTOM), 1)

    front = front_of(known)
    labelled = set(front if len(known) > 8 else [one.id for one in known])
    dots = [
        Dot(
            id=one.id,
            x=across(one.cost),
            y=up(one.score),
            title=f"{one.name}: {100 * one.score:.2f} % mIoU{_said(one.interval)}, {one.cost:.3g} {axis}",
            label=one.name.rpartition("/")[2] if one.id in labelled or one.pinned else "",
            anchor="end" if across(one.cost) > 0.7 * WIDTH else "start",
            front=one.id in front,
            pinned=one.pinned,
        )
        for one in sorted(known, key=lambda one: one.id in front)
    ]
    line = [one for one in sorted(known, key=lambda one: one.cost) if one.id in front]
    return Plot(
        axis=axis,
        summary=f"mIoU of {len(known)} results against {axis}, on a logarithmic axis; none is both cheaper and better "
        f"than {', '.join(one.name for one in line)}.",
        dots=dots,
        front=" ".join(f"{across(one.cost)},{up(one.score)}" for one in line),
        across=[Tick(across(value), text) for value, text in ticks_of_powers(low, high)],
        up=[Tick(up(value), f"{100 * value:g}") for value in even_ticks(worst, best)],
    )


def front_of(points: Sequence[Point]) -> list[str]:
    """Ids of the points that no other one beats in cost or score without being worse in the other, cheapest first."""
    found, best = [], -math.inf
    for one in sorted(points, key=lambda one: (one.cost, -one.score)):
        if one.score > best:
            found.append(one.id)
            best = one.score
    return found


def ticks_of_powers(low: float, high: float) -> list[tuple[float, str]]:
    """Values between 10^low and 10^high to mark on a logarithmic axis, and their texts."""
    for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        values = [
            digit * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if low <= math.log10(digit) + power <= high
        ]
        if len(values) <= _MOST_TICKS:
            break
    return [(value, f"{value:.10g}" if 1e-3 <= value < 1e6 else f"{value:.0e}") for value in values]


def even_ticks(low: float, high: float) -> list[float]:
    """Round values between two shares to mark on an axis, at most six."""
    step = next(step for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / step <= 6)
    return [round(number * step, 3) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    """A range with a tenth of itself, or at least `least`, around it."""
    room = max(least, 0.1 * (high - low))
    return low - room, high + room


def _said(interval: str) -> str:
    return f" [{interval}]" if interval else ""
