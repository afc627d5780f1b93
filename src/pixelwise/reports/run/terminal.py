"""Results as tables on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.machine.launched import is_first
from pixelwise.metrics import CONVENTIONS, miou
from pixelwise.records.advice import advice, next_training
from pixelwise.records.evaluations import find_result
from pixelwise.records.history import read_history
from pixelwise.records.log import read_log
from pixelwise.records.presence import covered_by_miou, presence_of
from pixelwise.records.result import Result, Unfinished, to_json, to_plain
from pixelwise.records.run_folder import REPORT, is_run, read_recipe
from pixelwise.records.scores import ClassResult, GroupResult
from pixelwise.records.showing import drawn_units
from pixelwise.records.standing import in_words
from pixelwise.reports.numbers import percent, share, speed
from pixelwise.reports.run.metrics import class_columns, further_values, group_values
from pixelwise.reports.run.records import read_run
from pixelwise.reports.run.sentences import about_data, scored_on
from pixelwise.reports.standard_output import write, write_json, write_json_text
from pixelwise.reports.terminals import Console
from pixelwise.storage import json_text, printable
from pixelwise.storage.names import counted

LONGEST_NAME = 24
"""Longer class names are truncated in the table."""
_HEADINGS = ("   IoU", "accuracy", "precision", "% of px", "images")
_WORST = "worst image (IoU)"


def show_results(results: Sequence[Result], run: Path, *, as_json: bool = False) -> None:
    """Print the results of an evaluation as tables with the path of the report, or as JSON.

    Args:
        results: One result per protocol.
        run: Run folder or artefact that was scored.
        as_json: Print JSON instead: a single result as in its file, several as a list.
    """
    if not is_first():
        return  # another process speaks
    if as_json:
        write_json_text(to_json(results[0]).decode() if len(results) == 1 else json_text(list(map(to_plain, results))))
        return
    console = Console()
    for result in results:
        print_result(result, console)
    run = own_run_path(run)
    if is_run(run):
        print_standing(run)
        console.print(f"\nreport  {printable(run / REPORT)}", markup=False, soft_wrap=True)


def show_unfinished(found: Unfinished, *, as_json: bool = False) -> None:
    """Print how much of an evaluation is done of which other workers do a part.

    Args:
        found: How much is done.
        as_json: Print JSON.
    """
    if as_json:
        write_json(found)
        return
    images = counted(found.images, "image")
    write(f"this part is done; of all {images} of {found.split}, {found.done} are scored\n")
    write("whoever finds all of them scored writes the result\n")


def print_page(page: Path, *, as_json: bool = False) -> None:
    """Print where the report of a run is, and whether the run is finished."""
    run = page.parent
    if as_json:
        write_json({"run": run, "report": page})
    else:
        write(f"{printable(page)}\n")
    print_standing(run)


def print_standing(run: Path) -> None:
    """Print to stderr, beside what other programs read, that a run is not finished, and how to go on.

    A folder of several runs has no standing of its own.
    """
    if not is_run(run):
        return
    if words := in_words(read_run(run).standing, run):
        Console(stderr=True).print(f"! {words}", markup=False, soft_wrap=True)


def print_result(result: Result, console: Console) -> None:
    """Print the per-class table and the totals; the console's width determines how much of the image ids is shown."""
    console.print(result_table(result, console.width))
    console.print(Text(totals(result), style="bold"), soft_wrap=True)
    if further := further_totals(result):
        console.print(Text(further), soft_wrap=True)
    if elsewhere := other_conventions(result):
        console.print(Text(elsewhere), soft_wrap=True)
    for group in result.groups:
        console.print(Text(group_line(result, group)), soft_wrap=True)
    console.print(Text(f"scored  {scored_on(result)}"), soft_wrap=True)
    for sentence in (*about_data(result), *presence_of(result).sentences()):
        console.print(Text(f"! {sentence}"), soft_wrap=True)
    if any(entry.images == 1 for entry in result.per_class):
        console.print(Text("! only one image contains this class, so its score means little"), soft_wrap=True)


def print_run(run: Path, *, scored: bool, as_json: bool = False) -> None:
    """Print the paths of a finished run, and its scores if it was scored with every protocol of its recipe."""
    if not is_first():
        return  # another process speaks
    if as_json:
        _write_run(run)
        return
    console = Console()
    recipe = read_recipe(run)
    if not recipe.learns_classes:
        learned = (
            "trained: its encoder has learned the features of its teachers, and it knows no classes; begin with it:"
        )
        console.print(f"{run}: {learned} {next_training(run, recipe)}", markup=False, soft_wrap=True)
        console.print(f"\nrun     {printable(run)}", markup=False, soft_wrap=True)
        return
    if not scored:
        score = f"pixelwise evaluate {shlex.quote(printable(run))}"
        console.print(f"{printable(run)}: trained. Score it with: {score}", markup=False, soft_wrap=True)
        return
    found = [find_result(run, recipe.evaluation.split, protocol) for protocol in recipe.evaluation.protocols]
    results = [result for result in found if result is not None]
    for result in results:
        print_result(result, console)
    if not results:
        console.print(
            "not scored: no image of the data has labels to score by; where there are some: pixelwise evaluate "
            f"{shlex.quote(printable(run))} --data FOLDER",
            markup=False,
            soft_wrap=True,
        )
    for part in read_history(run).parts:
        console.print(f"! {part.in_words}: not comparable with an undisturbed run", markup=False, soft_wrap=True)
    for sentence in advice(recipe, read_log(run), next(iter(results), None)):
        console.print(f"next: {sentence}", markup=False, soft_wrap=True)
    console.print(f"\nrun     {printable(run)}\nreport  {printable(run / REPORT)}", markup=False, soft_wrap=True)


def _write_run(run: Path) -> None:
    """Print a run as JSON: its folder, its report if there is one, its scores under every protocol, and advice."""
    recipe, page = read_recipe(run), run / REPORT
    found = [find_result(run, recipe.evaluation.split, protocol) for protocol in recipe.evaluation.protocols]
    results = [result for result in found if result is not None]
    content = {
        "run": run,
        "report": page if page.is_file() else None,
        "results": [to_plain(result) for result in results],
        "next": advice(recipe, read_log(run), next(iter(results), None)),
    }
    write_json(content)


def result_table(result: Result, width: int) -> Table:
    """One row per class, in the order of class ids; fractions in percent, `n/a` for undefined values.

    Numbers are never truncated to fit `width`: instead the columns of further metrics and of the worst images are left
    out, and the names of the worst images are truncated.
    """
    names = [printable(entry.name) for entry in result.per_class]
    class_width = min(max(map(cell_len, [*names, "class"])), LONGEST_NAME)
    # Columns are two characters apart.
    room = width - class_width - sum(len(heading) + 2 for heading in _HEADINGS) - 2
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("class", no_wrap=True, overflow="ellipsis", width=class_width)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    further = []
    for column in class_columns(result):
        wide = max(map(cell_len, (column.title, *column.cells)))
        if room >= wide:
            table.add_column(column.title, justify="right", no_wrap=True, min_width=wide)
            further.append(column.cells)
            room -= wide + 2
    if room >= len(_WORST):
        table.add_column(_WORST, no_wrap=True, overflow="ellipsis", max_width=room)
    labelled = result.labelled_pixels
    for class_id, (name, entry) in enumerate(zip(names, result.per_class, strict=True)):
        cells = [
            Text(name),
            percent(entry.iou),
            percent(entry.accuracy),
            percent(entry.precision),
            share(entry.pixels / labelled) if labelled else "0",
            f"{entry.images} !" if entry.images == 1 else str(entry.images),
            *(cells[class_id] for cells in further),
            Text(_worst(entry)),
        ]
        table.add_row(*cells[: len(table.columns)])
    return table


def totals(result: Result) -> str:
    """`mIoU 53.12 (11 of 11 classes)  pixel accuracy 87.50  test, camvid-480x360, 233 images, 14.2 img/s`."""
    return (
        f"mIoU {percent(result.miou)} ({covered_by_miou(result)} classes)  "
        f"pixel accuracy {percent(result.pixel_accuracy)}  "
        f"{printable(result.split)}, {result.protocol}{', multi-label' if result.multilabel else ''}, "
        f"{counted(result.images, 'image')}, "
        f"{speed(result.images_per_second)} img/s"
    )


def other_conventions(result: Result) -> str:
    """`mIoU by other conventions: united-perception 38.61, edgeai 38.61`, for conventions that give another value.

    Empty if all agree, as they do if every class is labelled, and for multi-label data, to which none of them apply.
    """
    if result.multilabel:
        return ""
    matrix = np.array(result.confusion_matrix)
    means = {name: percent(miou(matrix, name)) for name in CONVENTIONS}
    others = [f"{name} {mean}" for name, mean in means.items() if mean != percent(result.miou)]
    return f"mIoU by other conventions: {', '.join(others)}" if others else ""


def group_line(result: Result, group: GroupResult) -> str:
    """`Seq05VD: mIoU 51.20 (11 of 11 classes)  pixel accuracy 85.10  boundary mIoU 30.12  171 images`.

    Args:
        result: Result of the whole split.
        group: One of its groups.
    """
    further = "".join(f"{shown.title} {shown.text}  " for shown in group_values(result, group))
    return (
        f"{printable(group.name)}: mIoU {percent(group.miou)} ({covered_by_miou(result, group)} classes)  "
        f"pixel accuracy {percent(group.pixel_accuracy)}  {further}"
        f"{counted(group.images, 'image')}"
    )


def further_totals(result: Result) -> str:
    """`mIoU 95 % over images 50.10 to 56.04  mean accuracy 66.02  ...`; empty if none was measured."""
    parts = []
    if result.miou_interval is not None:
        lower, upper = result.miou_interval
        parts.append(f"mIoU 95 % over {drawn_units(result)} {percent(lower)} to {percent(upper)}")
    return "  ".join([*parts, *(f"{shown.title} {shown.text}" for shown in further_values(result))])


def _worst(entry: ClassResult) -> str:
    if entry.worst_image is None:
        return ""
    return f"{printable(entry.worst_image)} ({percent(entry.worst_image_iou, 1)})"
