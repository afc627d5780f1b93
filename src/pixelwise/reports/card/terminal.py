"""Deploy cards and latency tables on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from pixelwise.deployment.card.card import DeployCard
from pixelwise.deployment.card.latencies import LatencyTable
from pixelwise.reports.card.page import COLUMNS, HTML, milliseconds, render_json, table_lines, verdict
from pixelwise.reports.numbers import memory, speed
from pixelwise.reports.standard_output import write, write_json_text
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable

WIDE = 110
"""Terminal width from which on the columns of the table are spaced more widely."""
HEADINGS = (
    "size", "mIoU,\n%", "loss,\npoints", "equal,\n%", "thr.", "median,\nms", "p99,\nms", "images\n/s", "peak\nmemory",
)  # fmt: skip


def show_card(card: DeployCard, folder: Path, *, as_json: bool) -> None:
    """Print a card and the path of its page in `folder`, or the content of `card.json`."""
    if as_json:
        write_json_text(render_json(card))
        return
    print_card(card, Console(highlight=False))
    write(f"{printable(folder / HTML)}\n")


def print_card(card: DeployCard, console: Console) -> None:
    """Print the table, the rows that could not be made, and the verdict."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2 if console.width >= WIDE else 1, 0, 0))
    # Names include the precision, so its column is left out; with two-line headings the table fits 80 characters.
    table.add_column(COLUMNS[0], overflow="fold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in table_lines(card):
        cells: list[str | Text] = [cell for index, cell in enumerate(line.cells) if index != 1]
        if not line.first:
            cells[:5] = [""] * 5
        elif line.over:
            cells[3] = Text(f"{cells[3]}!", style="bold")
        table.add_row(*cells)
    console.print(table)
    for row in card.rows:
        if row.reason:
            console.print(f"{row.name}: {row.reason}", markup=False, soft_wrap=True)
    if text := verdict(card):
        console.print(text, markup=False, soft_wrap=True)


def print_latencies(found: LatencyTable, console: Console) -> None:
    """Print the table and the conditions of the measurement."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("runtime")
    for heading in ("threads", "median, ms", "p99, ms", "images/s", "peak memory"):
        table.add_column(heading, justify="right")
    for latency in found.rows:
        table.add_row(
            latency.runtime,
            str(latency.threads),
            milliseconds(latency.median_seconds),
            milliseconds(latency.p99_seconds),
            speed(latency.images_per_second),
            memory(latency.peak_memory_bytes),
        )
    console.print(table)
    first, machine = found.rows[0], found.machine
    images = "1 image" if first.batch == 1 else f"{first.batch} images"
    console.print(
        f"{images} of {first.size[1]}x{first.size[0]} (W x H) per pass, {first.rounds} passes in turns; "
        f"{machine.cpu}, {machine.cores} cores",
        markup=False,
        soft_wrap=True,
    )
