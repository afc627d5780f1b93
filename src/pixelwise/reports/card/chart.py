"""Charts of mIoU against latency, one per number of threads.

The marker of a point shows the runtime, its colour whether the row is int8, and its label gives the full name.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pixelwise.deployment.card.card import DeployCard
from pixelwise.deployment.card.rows import CardRow
from pixelwise.errors import harmless
from pixelwise.profiling.runtimes import marker_of
from pixelwise.reports.run.charts import ACCENT, CONTRAST, GRID, INK, Chart, inline_svg

WIDTH, HEIGHT = 6.4, 3.4
"""Size of a chart in inches; the page scales it."""
LETTER, LINE = 0.6, 1.25
"""Average width of a letter and height of a line of text, in font sizes."""
FONT = 8.5


class Point(NamedTuple):
    """A row in a chart.

    Attributes:
        name: Label beside the point.
        milliseconds: Median latency for one image.
        percent: Mean IoU in percent.
    """

    name: str
    milliseconds: float
    percent: float
    row: CardRow


class Box(NamedTuple):
    """A rectangle in points (1/72 inch)."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two boxes share some area."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def card_charts(card: DeployCard) -> list[Chart]:
    """One chart per number of threads; empty if the images have no labels."""
    charts = []
    for index, threads in enumerate(card.threads):
        points = [
            Point(harmless(row.name), 1000 * row.latencies[index].median_seconds, 100 * row.miou, row)
            for row in card.rows
            if row.miou is not None and row.latencies
        ]
        if not points:
            continue
        fastest = min(points, key=lambda point: point.milliseconds)
        words = "1 thread" if threads == 1 else f"{threads} threads"
        summary = (
            f"mIoU against median latency of {len(points)} artefacts with {words}; "
            f"fastest {fastest.name}, {fastest.milliseconds:.3g} ms at {fastest.percent:.2f} %."
        )
        charts.append(Chart(f"mIoU against latency, {words}", summary, _draw(points, card, f"card-{threads}")))
    return charts


def place_labels(
    places: Sequence[tuple[float, float]], texts: Sequence[str], area: Box, font: float = FONT
) -> list[tuple[float, float]]:
    """Place labels so that none covers a point or another label.

    Args:
        places: (x, y) of the points, in the unit of `area`.
        texts: One label per point.
        area: Box that the labels must stay inside.
        font: Font size, in the unit of `area`.

    Returns:
        The middle of each label's left edge; if no place is free, the nearest place inside the area.
    """
    taken = [Box(x - font / 2, y - font / 2, x + font / 2, y + font / 2) for x, y in places]
    found = []
    # From right to left, so that few labels have to go to the left of their point.
    for index in sorted(range(len(places)), key=lambda index: (-places[index][0], places[index][1])):
        width, height = LETTER * font * len(texts[index]), LINE * font
        tried = [
            Box(left, middle - height / 2, left + width, middle + height / 2)
            for left, middle in _around(places[index], width, height, font)
        ]
        inside = [box for box in tried if _inside(box, area)] or tried[:1]
        box = next((box for box in inside if not any(box.overlaps(other) for other in taken)), inside[0])
        taken.append(box)
        found.append((index, (box.left, (box.bottom + box.top) / 2)))
    return [place for _, place in sorted(found)]


def _around(place: tuple[float, float], width: float, height: float, font: float) -> list[tuple[float, float]]:
    """Candidate places for a label, best first: beside the point, then above and below it at growing distance."""
    x, y = place
    sides = [(x + 0.8 * font, y), (x - 0.8 * font - width, y)]
    for step in range(1, 12):
        for middle in (y + step * height, y - step * height):
            sides += [(x - width / 2, middle), (x + 0.3 * font, middle), (x - 0.3 * font - width, middle)]
    return sides


def _inside(box: Box, area: Box) -> bool:
    return box.left >= area.left and box.right <= area.right and box.bottom >= area.bottom and box.top <= area.top


def _draw(points: Sequence[Point], card: DeployCard, name: str) -> Any:
    # Importing Matplotlib takes a quarter of a second, so only drawing pays for it.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "pixelwise", "font.size": FONT}
    settings["text.parse_math"] = False  # a dollar sign in a name would begin a formula
    with mpl.rc_context(settings):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        axes = figure.add_axes((0.09, 0.15, 0.89, 0.81))
        _scale(axes, points, card)
        for point in points:
            color = CONTRAST if point.row.precision == "int8" else ACCENT
            filled = "none" if point.row.precision == "bfloat16" else color
            axes.plot(
                [point.milliseconds], [point.percent], marker_of(point.row.runtime), color=color,
                markerfacecolor=filled, markersize=6.5,
            )  # fmt: skip
        if card.max_miou_drop is not None and card.rows[0].miou is not None:
            axes.axhline(100 * card.rows[0].miou - card.max_miou_drop, color=INK, linewidth=0.9, linestyle="--")
        _write_names(axes, points)
        axes.tick_params(colors=INK, length=0)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_xlabel("median latency of one image, ms", color=INK)
        axes.set_ylabel("mIoU, %", color=INK)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)
        stream = io.StringIO()
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return inline_svg(stream.getvalue(), name)


def _scale(axes: Any, points: Sequence[Point], card: DeployCard) -> None:
    """Leave room on all sides, and keep the mIoU axis coarse enough not to magnify rounding differences."""
    slowest = max(point.milliseconds for point in points)
    axes.set_xlim(0, 1.3 * slowest)
    heights = [point.percent for point in points]
    if card.max_miou_drop is not None and card.rows[0].miou is not None:
        heights.append(100 * card.rows[0].miou - card.max_miou_drop)
    low, high = min(heights), max(heights)
    room = max(0.25 * (high - low), 0.5 - (high - low) / 2, 0.1)
    axes.set_ylim(low - room, high + room)
    step = axes.get_yticks()
    if len(step) > 1:
        digits = max(0, -math.floor(math.log10(abs(step[1] - step[0])) + 1e-9))
        axes.yaxis.set_major_formatter(f"{{x:.{digits}f}}")


def _write_names(axes: Any, points: Sequence[Point]) -> None:
    """Write the labels, with a thin line from each one that does not fit beside its point."""
    bounds = axes.get_position()
    width, height = 72 * WIDTH * bounds.width, 72 * HEIGHT * bounds.height
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    places = [
        (width * (point.milliseconds - left) / (right - left), height * (point.percent - bottom) / (top - bottom))
        for point in points
    ]
    labels = place_labels(places, [point.name for point in points], Box(0, 0, width, height))
    for point, place, label in zip(points, places, labels, strict=True):
        beside = label[1] == place[1]
        # The width of a label depends on the page's font, so one left of its point is aligned at its right end.
        before = beside and label[0] < place[0]
        start = label[0] + LETTER * FONT * len(point.name) if before else label[0]
        axes.annotate(
            point.name,
            (point.milliseconds, point.percent),
            xytext=(start - place[0], label[1] - place[1]),
            textcoords="offset points",
            ha="right" if before else "left",
            va="center_baseline",
            color=INK,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
            if not beside
            else None,
        )
