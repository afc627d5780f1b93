"""The audit of a data set on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from pixelwise.datasets.audit import Audit, audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.reports.counting import CountDisplay
from pixelwise.storage import printable

GENERIC_RECIPE = "unet-resnet18"
"""Whose data section says how to look at a folder when no recipe is named."""
BAR_WIDTH = 20


def check_and_show(path: Path, overrides: Sequence[str], *, recipe: str | None, fresh: bool, as_json: bool) -> bool:
    """Audit a folder and print what was found; returns whether training would be wrong."""
    data = apply_overrides(find_recipe(recipe or GENERIC_RECIPE), overrides).data
    dataset = open_dataset(data, path)
    with CountDisplay("looking at the data") as display:
        found = audit(dataset, progress=display, fresh=fresh)
    refused = any(finding.code not in data.allow for finding in found.errors)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    else:
        print_audit(found, path, Console(), recipe)
    return refused


def print_audit(found: Audit, path: Path, console: Console, recipe: str | None) -> None:
    """Layout, sizes, classes with their share, and every finding with its files and its fix."""
    _say(console, f"{printable(path)}: {found.dataset}, {found.layout}")
    pairs = ", ".join(f"{count} {split}" for split, count in found.splits.items())
    _say(console, f"pairs     {pairs}")
    sizes = found.sizes
    if sizes.distinct:
        common = "{}x{}".format(*sizes.most_common)
        other = (
            "all"
            if sizes.distinct == 1
            else f"{sizes.most_common_images} of them, {'{}x{}'.format(*sizes.smallest)} to "
            f"{'{}x{}'.format(*sizes.largest)} in all"
        )
        _say(console, f"images    {common} (HxW), {other}")
    if found.mask_encodings:
        _say(
            console,
            "masks     " + ", ".join(f"{count} {kind}" for kind, count in found.mask_encodings.items()),
        )
    console.print()
    console.print(_class_table(found))
    errors = len(found.errors)
    warnings = len(found.findings) - errors
    for finding in found.findings:
        console.print()
        style = "bold red" if finding.severity == "error" else "bold yellow"
        console.print(f"{finding.severity} {finding.code}", style=style, end="  ")
        _say(console, finding.message)
        for file in finding.files:
            _say(console, f"    {file}")
        if finding.total > len(finding.files):
            _say(console, f"    and {finding.total - len(finding.files)} more")
        if finding.fix:
            _say(console, f"  fix: {finding.fix}")
    console.print()
    if errors:
        _say(
            console,
            f"{errors} kinds of errors, {warnings} of warnings: training would be wrong (docs/errors.md)",
        )
    else:
        name = recipe or GENERIC_RECIPE
        note = f"{warnings} kinds of warnings; " if warnings else ""
        _say(console, f"{note}ready: pixelwise train {name} --data {printable(path)}")


def _class_table(found: Audit) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("class")
    for split in found.statistics:
        table.add_column(f"{split} %", justify="right")
        table.add_column("images", justify="right")
    table.add_column("share of the labelled pixels")
    totals = {split: max(1, sum(counts.pixels)) for split, counts in found.statistics.items()}
    overall = max(1, sum(sum(counts.pixels) for counts in found.statistics.values()))
    for class_id, name in enumerate(found.classes):
        cells: list[str] = []
        for split, counts in found.statistics.items():
            cells.append(f"{100 * counts.pixels[class_id] / totals[split]:.2f}")
            cells.append(str(counts.images_with_class[class_id]))
        share = sum(counts.pixels[class_id] for counts in found.statistics.values()) / overall
        bar = "█" * round(BAR_WIDTH * share) or ("▏" if share else "")
        table.add_row(str(class_id), name, *cells, bar)
    voids: list[str] = []
    for counts in found.statistics.values():
        voids.append(f"{100 * counts.void_pixels / max(1, counts.void_pixels + sum(counts.pixels)):.2f}")
        voids.append("")
    table.add_row("", "ignored (of all)", *voids, "", style="dim")
    return table


def _say(console: Console, text: str) -> None:
    # File names may hold what rich would take for markup.
    console.print(text, markup=False, highlight=False, soft_wrap=True)
