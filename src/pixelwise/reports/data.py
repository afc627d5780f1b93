"""Dividing, converting and measuring data sets, on a terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.checking import GENERIC_RECIPE
from pixelwise.datasets.auditing.statistics import Suggestions, suggestions
from pixelwise.datasets.layouts.splits import all_samples, split_samples, write_lists
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.converting import convert_to_folder
from pixelwise.datasets.preparing.fetching import State, prepare
from pixelwise.datasets.preparing.public_data import PUBLIC_DATA, publication_of
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.protocols import parse_size
from pixelwise.recipes.schema.recipe import Data
from pixelwise.reports.audit.terminal import channels_in_words
from pixelwise.reports.displays import CountDisplay
from pixelwise.reports.numbers import count, share
from pixelwise.storage import json_text, printable


def split_and_show(
    root: Path,
    overrides: Sequence[str],
    *,
    val: float,
    test: float,
    group: str | None,
    output: Path | None,
    replace: bool,
) -> None:
    """Write the lists of a division and say what is in them; raises as `datasets.splitting`."""
    _, dataset = _open(root, overrides)
    samples = all_samples(dataset)
    divided = split_samples(samples, val=val, test=test, group=group)
    paths = write_lists(divided, output or dataset.root, replace=replace)
    total = sum(map(len, divided.values()))
    for path, (name, found) in zip(paths, divided.items(), strict=True):
        _say(f"{printable(path)}: {name}, {count(len(found))} pairs, {share(len(found) / total)} %")
    _say("no file was moved; `pixelwise check` opens the lists and finds images that look alike in two of them")


def convert_and_show(root: Path, output: Path, overrides: Sequence[str], *, to: str, size: str | None) -> None:
    """Convert a data set and say what was written; raises as `datasets.converting`."""
    if to != "folder":
        raise RecipeError("R203", f"--to {to}: data sets are converted to 'folder' only", "--to folder")
    wanted = parse_size(size) if size is not None else None
    data, dataset = _open(root, overrides)
    with CountDisplay("converting") as display:
        done = convert_to_folder(
            dataset,
            output,
            size=wanted,
            allow=data.allow,
            progress=display,
        )
    pairs = ", ".join(f"{number} {split}" for split, number in done.pairs.items())
    _say(f"{printable(done.root)}: {pairs}, {len(dataset.classes)} classes")
    for file, code in list(done.left_out.items())[:5]:
        _say(f"  left out: {code} {file}")
    if len(done.left_out) > 5:
        _say(f"  and {len(done.left_out) - 5} more")


def show_statistics(root: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """Measure a data set and print the numbers."""
    data, dataset = _open(root, overrides)
    with CountDisplay("looking at the data") as display:
        found = audit(dataset, progress=display)
    measured = suggestions(found, data.train_split)
    if as_json:
        document = statistics_document(found, measured)
        sys.stdout.write(json_text(document))
        return
    console = Console()
    of = channels_in_words(data.channels)
    for split, counts in found.statistics.items():
        mean, std = (" ".join(f"{value:.4f}" for value in values) for values in (counts.mean, counts.std))
        _say(f"{split}: {count(counts.images)} images, mean {mean}, standard deviation {std} ({of}, 0..1)")
    for (height, width), images in found.sizes.histogram:
        _say(f"{width}x{height}: {count(images)} images")
    console.print()
    console.print(_table(found, measured))


def statistics_document(found: Audit, measured: Suggestions | None) -> dict[str, Any]:
    """What `data stats --json` prints."""
    return {
        "dataset": found.dataset,
        "classes": found.classes,
        "splits": found.statistics,
        "sizes": [{"height": size[0], "width": size[1], "images": images} for size, images in found.sizes.histogram],
        "suggestions": measured,
    }


def _table(found: Audit, measured: Suggestions | None) -> Table:
    weights = measured.class_weights if measured else {}
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("class", no_wrap=True)
    # Two lines for long names: eighty columns are wide enough for all of it then.
    for heading in (*(f"{split} px" for split in found.statistics), "images", *weights):
        table.add_column(heading.replace("-", "-\n"), justify="right")
    for class_id, name in enumerate(found.classes):
        pixels = [count(counts.pixels[class_id]) for counts in found.statistics.values()]
        images = sum(counts.images_with_class[class_id] for counts in found.statistics.values())
        suggested = [f"{values[class_id]:.3g}" for values in weights.values()]
        table.add_row(str(class_id), name, *pixels, count(images), *suggested)
    return table


def _open(root: Path, overrides: Sequence[str]) -> tuple[Data, Dataset]:
    data = apply_overrides(find_recipe(GENERIC_RECIPE), overrides).data
    return data, open_dataset(data, root)


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


class BytesDisplay:
    """A bar for bytes that are downloaded or unpacked; silent when standard error is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> BytesDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` (0: unknown) are done."""
        self._progress.update(self._task, description=what, completed=done, total=total or None)


def show_known() -> None:
    """A table of the data sets that can be prepared."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "what it is", "terms"):
        table.add_column(heading, overflow="fold")
    for name, recipe in PUBLIC_DATA.items():
        table.add_row(name, recipe.summary, recipe.terms)
    Console().print(table)


def prepare_and_show(name: str, root: Path, *, download: bool) -> None:
    """Prepare a data set and say what is there.

    Raises:
        DataError: D253, something is missing at the end; those of `datasets.preparing.prepare`.
        RecipeError: R203, no such data set.
    """
    recipe = publication_of(name)
    console = Console()
    console.print(f"{name}: {recipe.summary}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"terms: {recipe.terms}", markup=False, highlight=False, soft_wrap=True)
    with BytesDisplay() as display:
        state = prepare(
            name,
            root,
            fetch=download,
            tell=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            progress=display,
        )
    _show_state(state, console)
    if not state.complete:
        lacking = ", ".join(
            f"{pattern} ({found} of {number})" for pattern, (found, number) in state.counts.items() if found < number
        )
        raise DataError(
            "D253",
            f"{printable(root)}: {name} is not complete: {lacking}",
            "put the missing files there, or remove the folder that is incomplete and run this again",
        )
    command = f"pixelwise check {shlex.quote(printable(root))}"
    console.print(f"complete; next: {command}", markup=False, highlight=False, soft_wrap=True)


def _show_state(state: State, console: Console) -> None:
    for pattern, (found, number) in state.counts.items():
        sign = "ok" if found >= number else "--"
        console.print(f"{sign} {pattern}: {found} of {number}", markup=False, highlight=False, soft_wrap=True)
