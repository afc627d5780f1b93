"""The audit of a data set on a terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from pixelwise.datasets.audit import Audit, audit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema import Recipe
from pixelwise.reports.counting import CountDisplay
from pixelwise.storage import printable

GENERIC_RECIPE = "unet-resnet18"
"""Whose data section says how to look at a folder when no recipe is named."""
BAR_WIDTH = 20


def check_and_show(path: Path, overrides: Sequence[str], *, recipe: str | None, fresh: bool, as_json: bool) -> bool:
    """Audit a folder and print what was found; returns whether training would be wrong or impossible."""
    name = recipe or GENERIC_RECIPE
    resolved = apply_overrides(find_recipe(name), overrides)
    dataset = open_dataset(resolved.data, path)
    with CountDisplay("looking at the data") as display:
        found = audit(dataset, progress=display, fresh=fresh)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    else:
        console = Console()
        print_audit(found, path, console)
        _print_verdict(found, resolved, ["pixelwise", "train", name, "--data", printable(path)], overrides, console)
    return _refused_kinds(found, resolved) > 0


def print_audit(found: Audit, path: Path, console: Console) -> None:
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
    for finding in found.findings:
        _print_finding(finding, console)


def _print_finding(finding: Finding, console: Console) -> None:
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


def _print_verdict(
    found: Audit, recipe: Recipe, command: Sequence[str], overrides: Sequence[str], console: Console
) -> None:
    """The splits that the recipe needs and the data lacks, and whether training can begin."""
    fixes: list[str] = []
    for field, split in _missing_splits(found, recipe).items():
        fix = _split_fix(field, found, recipe)
        console.print()
        if field == "data.train_split":
            console.print("error D221", style="bold red", end="  ")
        else:
            console.print("hint", style="bold yellow", end="  ")
            fixes += fix
        present = ", ".join(f"{name} ({pairs})" for name, pairs in _usable_pairs(found).items() if pairs)
        _say(console, f"{field} is '{split}', which has no usable pair; splits that have some: {present or 'none'}")
        _say(console, f"  fix: {' '.join(fix)}")
    refused = _refused_kinds(found, recipe)
    allowed = sum(finding.code in recipe.data.allow for finding in found.errors)
    warnings = len(found.findings) - len(found.errors)
    counts = [
        *([_kinds(refused, "errors")] if refused else []),
        *([f"{_kinds(allowed, 'errors')} allowed by data.allow"] if allowed else []),
        *([_kinds(warnings, "warnings")] if warnings else []),
    ]
    console.print()
    if refused:
        _say(console, f"{', '.join(counts)}: training would be wrong (docs/errors.md)")
        return
    replaced = {fix.partition("=")[0] for fix in fixes}
    kept = [override for override in overrides if override.partition("=")[0].strip() not in replaced]
    note = f"{', '.join(counts)}; " if counts else ""
    ready = "ready with other splits" if fixes else "ready"
    _say(console, f"{note}{ready}: {shlex.join([*command, *kept, *fixes])}")


def _refused_kinds(found: Audit, recipe: Recipe) -> int:
    """How many kinds of errors stop training: those not allowed, and a training split without pairs."""
    codes = [finding.code for finding in found.errors if finding.code not in recipe.data.allow]
    nothing_to_train_on = "data.train_split" in _missing_splits(found, recipe)
    return len(codes) + (nothing_to_train_on and "D221" not in codes)


def _usable_pairs(found: Audit) -> dict[str, int]:
    return {split: pairs - len(found.unusable.get(split, ())) for split, pairs in found.splits.items()}


def _missing_splits(found: Audit, recipe: Recipe) -> dict[str, str]:
    """Field of the recipe -> the split it names, where that has no usable pair."""
    needed = {"data.train_split": recipe.data.train_split, "evaluation.split": recipe.evaluation.split}
    if recipe.selection.every_epochs:
        needed["selection.split"] = recipe.selection.split
    usable = _usable_pairs(found)
    return {field: split for field, split in needed.items() if not usable.get(split)}


def _split_fix(field: str, found: Audit, recipe: Recipe) -> list[str]:
    """What to do about a missing split: overrides, or for the training split a sentence."""
    train = recipe.data.train_split
    usable = [split for split, pairs in _usable_pairs(found).items() if pairs and split != train]
    if field == "data.train_split":
        another = f", or name another split, for example data.train_split={usable[0]}" if usable else ""
        return [f"add images with masks to split '{train}'{another}"]
    if field == "evaluation.split":
        return [f"evaluation.split={'val' if 'val' in usable else usable[0] if usable else train}"]
    # Weights chosen on the test images would make their score worthless.
    return ["selection.split=val"] if "val" in usable else ["selection.weights=last", "selection.every_epochs=0"]


def _kinds(count: int, what: str) -> str:
    return f"{count} kind{'' if count == 1 else 's'} of {what}"


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
