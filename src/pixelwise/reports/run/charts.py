"""Curves of a training run as inline SVG, in the colours of the page around them."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pixelwise.records.log import EvaluationRecord, ResumeRecord, StepRecord
from pixelwise.reports.run.records import RunRecords

POINTS = 400
"""Maximum number of points per curve, more than the page has pixels for."""
# Matplotlib needs real colours. These are placeholders for the page's custom properties, through which the curves
# follow light and dark mode.
INK, GRID, ACCENT, FAINT, CONTRAST = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    INK: "var(--soft)",
    GRID: "var(--line)",
    ACCENT: "var(--accent)",
    FAINT: "var(--faint)",
    CONTRAST: "var(--miss)",
}


class Chart(NamedTuple):
    """A chart.

    Attributes:
        title: Caption of the chart.
        summary: Content of the chart as a sentence, for screen readers.
        svg: The chart as an `<svg>` element.
    """

    title: str
    summary: str
    svg: Markup


def training_charts(run: RunRecords) -> list[Chart]:
    """Charts of loss, validation mIoU and learning rate over the steps, as far as they were logged."""
    steps = run.log.of(StepRecord)
    evaluations = run.log.of(EvaluationRecord)
    marks = [record.step for record in run.log.of(ResumeRecord)]
    charts = []
    loss = [(record.step, record.loss) for record in steps]
    if loss:
        smooth = smoothed([value for _, value in loss])
        summary = f"Training loss from {smooth[0]:.3g} to {smooth[-1]:.3g} in {loss[-1][0]} steps."
        charts.append(Chart("Training loss", summary, _plot("loss", loss, marks, smooth=smooth)))
    scored = [(record, 100 * record.miou) for record in evaluations if record.miou is not None]
    miou = [(record.step, value) for record, value in scored]
    if miou:
        best = max(miou, key=lambda point: point[1])
        split, protocol = min((record.split, record.protocol) for record, _ in scored)
        summary = f"mIoU on {split} ({protocol}) during training; best {best[1]:.2f} % at step {best[0]}."
        charts.append(Chart(f"mIoU on {split}, %", summary, _plot("miou", miou, marks, best=best)))
    lr = [(record.step, record.lr) for record in steps]
    if lr:
        summary = f"Learning rate, at most {max(value for _, value in lr):.3g}."
        charts.append(Chart("Learning rate", summary, _plot("lr", lr, marks)))
    return charts


def downsampled(points: Sequence[tuple[int, float]], limit: int = POINTS) -> list[tuple[float, float]]:
    """At most `limit` points, each the mean of a group of consecutive points."""
    size = math.ceil(len(points) / limit)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(step for step, _ in group) / len(group), sum(value for _, value in group) / len(group)) for group in groups
    ]


def smoothed(values: Sequence[float]) -> list[float]:
    """Centred running mean over a twentieth of the values, over fewer at both ends."""
    half = max(1, len(values) // 40)
    total = [0.0]
    for value in values:
        total.append(total[-1] + value)
    means = []
    for index in range(len(values)):
        start, end = max(0, index - half), min(len(values), index + half + 1)
        means.append((total[end] - total[start]) / (end - start))
    return means


def _plot(
    name: str,
    points: Sequence[tuple[int, float]],
    marks: Sequence[float],
    *,
    smooth: Sequence[float] | None = None,
    best: tuple[int, float] | None = None,
) -> Markup:
    # Importing Matplotlib takes a quarter of a second, so only drawing pays for it.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "pixelwise", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(4.4, 2.3), layout="constrained")
        axes = figure.subplots()
        thinned = downsampled(points)
        color = FAINT if smooth is not None else ACCENT
        marker = "o" if len(thinned) < 40 and smooth is None else ""
        axes.plot(*zip(*thinned, strict=True), color=color, linewidth=1.4, marker=marker, markersize=3)
        if smooth is not None:
            steps = [step for step, _ in points]
            line = downsampled(list(zip(steps, smooth, strict=True)))
            axes.plot(*zip(*line, strict=True), color=ACCENT, linewidth=1.6)
        if best is not None:
            axes.annotate(f"{best[1]:.2f}", best, xytext=(0, 6), textcoords="offset points", ha="center", color=INK)
            axes.margins(y=0.18)
        for mark in marks:
            axes.axvline(mark, color=INK, linewidth=0.8, linestyle=":")
        axes.tick_params(colors=INK, length=0)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_xlabel("step", color=INK)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)
        stream = io.StringIO()
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return inline_svg(stream.getvalue(), name)


def inline_svg(document: str, prefix: str) -> Markup:
    """The `<svg>` element alone; size and font are left to the page, and colours are its custom properties.

    Args:
        document: SVG document written by Matplotlib.
        prefix: Prefix of the element's ids; has to differ between the charts of a page.
    """
    svg = document[document.index("<svg") :]
    # Neither is drawn: metadata, and a style sheet that would apply to the whole page.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true"', svg, count=1)
    svg = re.sub(r"(font-family: |font: [\d.]+px )[^;\"]*", r"\1var(--sans)", svg)
    # Matplotlib uses the same ids in every figure, but ids have to be unique within a page.
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return Markup(svg)
