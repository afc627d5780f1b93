"""The deploy card as HTML, Markdown and JSON, all with the same table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.deployment.card.card import CARD, DeployCard
from pixelwise.deployment.card.rows import CardRow
from pixelwise.recipes.protocols import known_protocol
from pixelwise.recipes.sizes import Size
from pixelwise.reports.card.chart import card_charts
from pixelwise.reports.numbers import memory, speed
from pixelwise.reports.run.page import Fact
from pixelwise.reports.templates import templates
from pixelwise.storage import json_text, write_text

HTML, MARKDOWN = "card.html", "card.md"
COLUMNS = (
    "runtime",
    "precision",
    "size",
    "mIoU, %",
    "loss, points",
    "equal pixels, %",
    "threads",
    "median, ms",
    "p99, ms",
    "images/s",
    "peak memory",
)
TEXTS = 2
"""Number of leading columns that hold text; the others hold numbers."""
NONE = "-"


class Line(NamedTuple):
    """A line of the table: one row of the card at one number of threads.

    Attributes:
        cells: One text per column.
        first: Whether this is the first line of its row.
        continues: Whether another line of the same row follows.
        over: Whether the row exceeds the budget.
    """

    row: CardRow
    cells: tuple[str, ...]
    first: bool
    continues: bool
    over: bool


def write_card(card: DeployCard, folder: Path) -> list[Path]:
    """Write `card.html`, `card.md` and `card.json`.

    Returns:
        The paths of the three files.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(folder / HTML, render_html(card))
    write_text(folder / MARKDOWN, render_markdown(card))
    write_text(folder / CARD, render_json(card))
    return [folder / HTML, folder / MARKDOWN, folder / CARD]


def table_lines(card: DeployCard) -> list[Line]:
    """The table: one line per row and number of threads; one line for a row without latencies."""
    over = card.over_budget()
    lines = []
    for row in card.rows:
        size = NONE if row.size_bytes is None else megabytes(row.size_bytes)
        about = (row.name, row.precision, size, *_scores(row, reference=row is card.rows[0]))
        for index, latency in enumerate(row.latencies or (None,)):
            timed = (NONE,) * 5
            if latency is not None:
                timed = (
                    str(latency.threads),
                    milliseconds(latency.median_seconds),
                    milliseconds(latency.p99_seconds),
                    speed(latency.images_per_second),
                    memory(latency.peak_memory_bytes),
                )
            lines.append(Line(row, (*about, *timed), index == 0, index + 1 < len(row.latencies), row in over))
    return lines


def remarks(card: DeployCard) -> list[str]:
    """Notes that are needed to read the table correctly."""
    shape = card.shape
    notes = [
        "The loss is the mIoU of PyTorch in float32 minus that of the row; a negative loss is a gain. Equal pixels get "
        "the same class as in PyTorch.",
    ]
    if card.rounds:
        notes += [
            f"Latency is for one image of {size_text(shape.size)}: the median and the 99th percentile of {card.rounds} "
            "passes. The rows take turns, pass by pass, each in its own process.",
            "Peak memory is that of the row's process with all its libraries, which here always include PyTorch; a "
            "program that uses the runtime alone needs less.",
        ]
    if shape.uint8_input or shape.argmax:
        does = [
            *(["take RGB bytes and normalise them"] if shape.uint8_input else []),
            *(["return class ids"] if shape.argmax else []),
        ]
        notes.append(f"Artefacts {' and '.join(does)}; PyTorch is timed from normalised images to logits.")
    else:
        notes.append("All rows are timed from normalised images to logits of the image's size.")
    if card.seen_size is not None:
        notes.append(f"Artefacts take images of one size, that at which the networks saw every image of {card.source}.")
    else:
        notes.append("Artefacts take images of any size; fixing one size (`size`) can make them faster.")
    if not card.split:
        notes.append("The images have no labels, so there is no mIoU, only agreement with PyTorch.")
    return notes


def facts_of(card: DeployCard) -> list[tuple[str, str]]:
    """Conditions of the measurement, as (name, value)."""
    machine = card.machine
    facts = [("Recipe", f"{card.recipe} ({card.recipe_hash[:16]})")]
    facts.append(
        (
            "Weights",
            f"SHA-256 {card.weights_sha256[:16]}, {'averaged (EMA)' if card.weights == 'ema' else 'as trained'}",
        )
    )
    if card.licence is not None:
        facts += card.licence.facts
    facts.append(("Images", f"{card.source}, {card.images}" if card.split else card.source))
    if card.protocol:
        known = known_protocol(card.protocol)
        facts.append(("Protocol", f"{card.protocol}: {known.summary}" if known else card.protocol))
    if card.seen_size is not None:
        facts.append(("Input size", size_text(card.seen_size)))
    if card.max_miou_drop is not None:
        facts.append(("Budget", f"at most {card.max_miou_drop:g} points of mIoU"))
    facts.append(("Hardware", f"{machine.cpu}, {machine.cores} cores, {memory(machine.memory_bytes)}"))
    if machine.features:
        facts.append(("Instructions", ", ".join(machine.features)))
    facts.append(("System", machine.platform))
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in card.versions.items())))
    return facts


def verdict(card: DeployCard) -> str:
    """Whether every row is within the budget, as a sentence; empty without a budget."""
    if card.max_miou_drop is None:
        return ""
    over = card.over_budget()
    if not over:
        return f"Within the budget: no row loses more than {card.max_miou_drop:g} points of mIoU."
    names = ", ".join(row.name for row in over)
    return f"Over the budget of {card.max_miou_drop:g} points of mIoU: {names}."


def render_html(card: DeployCard) -> str:
    """The card as one self-contained HTML file."""
    reference = card.rows[0]
    return (
        templates()
        .get_template("card.html")
        .render(
            title=card.recipe,
            miou=None if reference.miou is None else _percent(reference.miou),
            card=card,
            columns=COLUMNS,
            texts=TEXTS,
            lines=table_lines(card),
            charts=card_charts(card),
            facts=[Fact(*fact) for fact in facts_of(card)],
            remarks=remarks(card),
            verdict=verdict(card),
        )
    )


def render_markdown(card: DeployCard) -> str:
    """The card as Markdown, without the charts."""
    align = [":--"] * TEXTS + ["--:"] * (len(COLUMNS) - TEXTS)
    parts = [f"# Deploy card: {_escape(card.recipe)}"]
    if text := verdict(card):
        parts.append(f"**{_escape(text)}**")
    table = [_line(COLUMNS), _line(align)]
    for line in table_lines(card):
        cells = list(map(_escape, line.cells))
        if line.over:
            cells[4] = f"**{cells[4]}**"
        table.append(_line(cells))
    parts.append("\n".join(table))
    missing = [row for row in card.rows if row.reason]
    if missing:
        parts.append("\n".join(f"- {_escape(row.name)}: {_escape(row.reason)}" for row in missing))
    parts.append("\n".join(f"- {_escape(remark)}" for remark in remarks(card)))
    parts.append("\n".join([_line(("", "")), _line((":--", ":--"))] + [_line(map(_escape, f)) for f in facts_of(card)]))
    return "\n\n".join(parts) + "\n"


def render_json(card: DeployCard) -> str:
    """The card as JSON."""
    return json_text(card)


def megabytes(size: int) -> str:
    """`1496112` -> `1.50 MB`; without decimals from 100 MB on."""
    return f"{size / 1e6:.2f} MB" if size < 1e8 else f"{size / 1e6:.0f} MB"


def milliseconds(seconds: float) -> str:
    """Three significant digits: `0.04493` -> `44.9`."""
    value = 1000 * seconds
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def size_text(size: Size) -> str:
    """`(360, 480)` -> `480x360`, width first as in the names of protocols."""
    return f"{size[1]}x{size[0]}"


def _scores(row: CardRow, *, reference: bool) -> tuple[str, str, str]:
    """mIoU, its loss and the agreement with PyTorch."""
    drop = NONE
    if row.miou_drop is not None and not reference:
        points = round(100 * row.miou_drop, 2) + 0.0  # turns -0.0 into 0.0
        drop = f"{points:.2f}".replace("-", "\u2212")
    return (
        NONE if row.miou is None else _percent(row.miou),
        drop,
        NONE if row.equal_pixels is None or reference else _agreement(row.equal_pixels),
    )


def _agreement(share: float) -> str:
    # Rounded down: rounding up could claim that nothing differs.
    return "100" if share == 1 else f"{math.floor(1e5 * share) / 1e3:.3f}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _line(cells: Sequence[str] | map) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    for character in ("\\", "*", "|", "<", "_", "`"):
        text = text.replace(character, f"\\{character}")
    return text
