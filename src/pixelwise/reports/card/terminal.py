"""The verbs `deploy` and `profile --runtime`: measure, write, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pixelwise.deployment.card.card import DeployCard, check_budget, deploy
from pixelwise.deployment.card.latencies import latency_table
from pixelwise.errors import RecipeError
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.profiling.latency import Latency, LatencyRuntime
from pixelwise.recipes.protocols import Size, parse_size
from pixelwise.recipes.sizes import seen_size
from pixelwise.reports.card.page import COLUMNS, HTML, milliseconds, render_json, table_lines, verdict, write_card
from pixelwise.reports.displays import CountDisplay, warn
from pixelwise.reports.numbers import memory, speed
from pixelwise.reports.profiling import classes_of, recipe_of
from pixelwise.runtimes import is_artefact, read_sidecar
from pixelwise.storage import json_text, printable

WIDE = 110
"""Columns of a terminal from which on there is room between those of the table."""
HEADINGS = (
    "size", "mIoU,\n%", "loss,\npoints", "equal,\n%", "thr.", "median,\nms", "p99,\nms", "images\n/s", "peak\nmemory",
)  # fmt: skip


def deploy_and_show(
    run: Path,
    output: Path,
    *,
    targets: str,
    int8: str | None,
    qat_run: Path | None,
    data: Path | None,
    split: str | None,
    images: Path | None,
    size: str | None,
    dynamic: bool,
    argmax: bool,
    uint8_input: bool,
    threads: str,
    rounds: int,
    max_miou_drop: float | None,
    calibration_images: int,
    as_json: bool,
) -> None:
    """Make the card, write it, print it, and fail where its budget is broken.

    Raises:
        CheckpointError: K468, the budget is broken; as `deploy`.
    """
    with Console(stderr=True).status("reading the run") as status:
        card = deploy(
            run,
            output,
            targets=_names(targets),  # type: ignore[arg-type]
            int8=_names(int8 or ""),  # type: ignore[arg-type]
            qat_run=qat_run,
            data=data,
            split=split,
            images=images,
            size=parse_size(size) if size is not None else None,
            dynamic=dynamic,
            argmax=argmax,
            uint8_input=uint8_input,
            threads=parse_threads(threads),
            rounds=rounds,
            max_miou_drop=max_miou_drop,
            calibration_images=calibration_images,
            tell=status.update,
            warn=warn,
        )
    write_card(card, output)
    if as_json:
        sys.stdout.write(render_json(card))
    else:
        print_card(card, Console(highlight=False))
        sys.stdout.write(f"{printable(output / HTML)}\n")
    check_budget(card)


def print_card(card: DeployCard, console: Console) -> None:
    """The table, and below it what could not be made, on a terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2 if console.width >= WIDE else 1, 0, 0))
    # The name says int8 or bfloat16: without the precision, and with headings of two lines, 80 columns are enough.
    table.add_column(COLUMNS[0], overflow="fold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in table_lines(card):
        cells = [escape(cell) for index, cell in enumerate(line.cells) if index != 1]
        if not line.first:
            cells[:5] = [""] * 5
        elif line.over:
            cells[3] = f"[bold]{cells[3]}![/bold]"
        table.add_row(*cells)
    console.print(table)
    for row in card.rows:
        if row.reason:
            console.print(f"{row.name}: {row.reason}", markup=False, soft_wrap=True)
    if text := verdict(card):
        console.print(text, markup=False, soft_wrap=True)


def show_latencies(
    model: str,
    *,
    runtimes: str,
    threads: str,
    size: Size | None,
    num_classes: int | None,
    batch: int,
    rounds: int,
    as_json: bool,
) -> None:
    """Measure a model in several runtimes and print the table.

    Args:
        model: A recipe (random weights), a run folder, a folder of imported weights, or an artefact.
        runtimes: Names with commas between them.
        threads: Numbers with commas between them.
        size: (height, width); None: the artefact's or the recipe's.
        num_classes: Outputs of a recipe's network; None: the recipe's, or 19 where it leaves them to the data.
        batch: Images per pass.
        rounds: Measured passes of each.
        as_json: Print JSON.

    Raises:
        RecipeError: R250, there is no such runtime or number of threads; as `latency_table`.
    """
    known = get_args(LatencyRuntime)
    chosen = list(dict.fromkeys(_names(runtimes)))
    for name in chosen:
        if name not in known:
            raise RecipeError("R250", f"--runtime names '{name}'", f"choose from: {', '.join(known)}")
    if not chosen:
        raise RecipeError("R250", "--runtime names no runtime", f"choose from: {', '.join(known)}")
    with CountDisplay("measuring") as display:
        found = latency_table(
            model,
            chosen,  # type: ignore[arg-type]
            size or _usual_size(model),
            parse_threads(threads),
            num_classes=_number_of_classes(model, num_classes),
            batch=batch,
            rounds=rounds,
            progress=display,
        )
    if as_json:
        plain = {"model": model, "rows": found, "machine": machine_facts(), "versions": version_facts()}
        sys.stdout.write(json_text(plain))
        return
    print_latencies(found, Console(highlight=False))


def print_latencies(found: list[Latency], console: Console) -> None:
    """The table on a terminal, and what it was measured with."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("runtime")
    for heading in ("threads", "median, ms", "p99, ms", "images/s", "peak memory"):
        table.add_column(heading, justify="right")
    for latency in found:
        table.add_row(
            latency.runtime,
            str(latency.threads),
            milliseconds(latency.median_seconds),
            milliseconds(latency.p99_seconds),
            speed(latency.images_per_second),
            memory(latency.peak_memory_bytes),
        )
    console.print(table)
    first, machine = found[0], machine_facts()
    images = "1 image" if first.batch == 1 else f"{first.batch} images"
    console.print(
        f"{images} of {first.size[1]}x{first.size[0]} (W x H) per pass, {first.rounds} passes in turns; "
        f"{machine.cpu}, {machine.cores} cores",
        markup=False,
        soft_wrap=True,
    )


def parse_threads(text: str) -> list[int]:
    """`1,2` -> [1, 2], each once.

    Raises:
        RecipeError: R250, that are no numbers from 1 on.
    """
    names = _names(text)
    if not names or not all(name.isdecimal() and int(name) for name in names):
        raise RecipeError("R250", f"--threads is '{text}'", "give numbers from 1 on, such as 1 or 1,2")
    return list(dict.fromkeys(map(int, names)))


def _names(text: str) -> list[Any]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number_of_classes(model: str, asked: int | None) -> int | None:
    """As `classes_of`; what has weights has its own number."""
    path = Path(model)
    return asked if path.is_dir() or is_artefact(path) else classes_of(recipe_of(model, [])[0], asked)


def _usual_size(model: str) -> Size:
    """The size an artefact takes or was counted at; that of a recipe as `seen_size` says it."""
    path = Path(model)
    if is_artefact(path):
        sidecar = read_sidecar(path)[0]
        return sidecar.input.size or sidecar.complexity.size
    recipe, _ = recipe_of(model, [])
    return seen_size(recipe)
