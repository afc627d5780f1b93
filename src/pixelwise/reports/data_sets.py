"""Dividing, converting and measuring data sets, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pixelwise.datasets.audit import Audit, audit
from pixelwise.datasets.converting import convert_to_folder
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.datasets.splitting import all_samples, split_samples, write_lists
from pixelwise.datasets.statistics import Suggestions, suggestions
from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.protocols import parse_size
from pixelwise.recipes.schema import Data
from pixelwise.reports.check import GENERIC_RECIPE, channels_in_words
from pixelwise.reports.counting import CountDisplay
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
