"""Result of `check` on a terminal or as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.table import Table

from pixelwise.datasets.auditing.audit import Audit
from pixelwise.datasets.auditing.checking import Checked
from pixelwise.datasets.auditing.examining import ExaminedPart
from pixelwise.datasets.findings import Finding
from pixelwise.reports.audit.words import (
    channels_in_words,
    class_files_in_words,
    fits_in_words,
    layout_in_words,
    other_splits_in_words,
    places_in_words,
    sizes_in_words,
    videos_in_words,
)
from pixelwise.reports.numbers import percent
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable
from pixelwise.storage.names import counted

BAR_WIDTH = 16
"""Width in characters of a bar for 100 % of the labelled pixels."""


def print_check(checked: Checked, *, as_json: bool, verbose: bool = False) -> None:
    """Print the result of a check: pairs, classes, findings and the next command.

    Args:
        checked: Result of the check.
        as_json: Print everything that is known as JSON instead.
        verbose: Also print what was measured: other layouts, borders, colours, class weights, the ceiling.
    """
    if as_json:
        write_json(checked.to_plain())
        return
    console = Console()
    print_audit(checked.audit, checked.path, console, checked.dataset.other_splits)
    _print_read(checked, console)
    if verbose:
        _print_measured(checked, console)
    _print_findings(checked.audit, console)
    for setting in checked.settings:
        _print_finding(setting, console)
    _print_verdict(checked, console)


def print_part(part: ExaminedPart, *, as_json: bool) -> None:
    """Print what a job of an array examined, and how its findings are got.

    Args:
        part: What it examined.
        as_json: Print it as JSON instead.
    """
    if as_json:
        write_json({**msgspec.structs.asdict(part), "path": printable(part.path)})
        return
    console = Console()
    _say(console, part.in_words)
    command = shlex.join(["pixelwise", "check", printable(part.path)])
    _say(console, f"when all parts are done: {command}")


def print_written(checked: Checked, page: Path | None, recipe: Path | None) -> None:
    """Print which files a check wrote, on standard error so that `--json > file` remains JSON.

    Args:
        checked: Result of the check.
        page: HTML page; None if none was written.
        recipe: Recipe file; None if none was written.
    """
    notes = Console(stderr=True)
    if page is not None:
        _say(notes, f"page      {printable(page)}")
    if recipe is not None:
        command = shlex.join(["pixelwise", "train", printable(recipe), "--data", printable(checked.path)])
        _say(notes, f"recipe    {printable(recipe)}: {command}")


def print_audit(found: Audit, path: Path, console: Console, others: Mapping[str, int] | None = None) -> None:
    """Print layout, pairs, image sizes, and classes with their shares.

    Args:
        found: Result of the audit.
        path: Folder of the data set as the user gave it.
        console: Console to print on.
        others: Number of pairs in each split that could be trained on instead.
    """
    _say(console, f"{printable(path)}: {found.dataset}, {found.layout}")
    pairs = ", ".join(f"{count} {split}" for split, count in found.splits.items())
    _say(console, f"pairs     {pairs or 'none'}")
    if others:
        _say(console, f"          also {other_splits_in_words(others)}")
    if found.sizes.distinct:
        _say(console, f"images    {sizes_in_words(found)}")
    if found.places is not None:
        _say(console, f"map       {places_in_words(found.places)}")
    if found.mask_encodings:
        _say(
            console,
            "masks     " + ", ".join(f"{count} {kind}" for kind, count in found.mask_encodings.items()),
        )
    console.print()
    console.print(_class_table(found))


def _print_read(checked: Checked, console: Console) -> None:
    """Print what has to be known to trust the table above."""
    lines = {
        "classes": [checked.read_as] if checked.read_as else [],
        "files": [class_files_in_words(checked.dataset)] if checked.dataset.multilabel else [],
        "video": videos_in_words(checked.audit),
    }
    if any(lines.values()):
        console.print()
    for key, sentences in lines.items():
        for sentence in sentences:
            _say(console, f"{key:<8}  {sentence}")


def _print_measured(checked: Checked, console: Console) -> None:
    console.print()
    _say(console, f"layout    {layout_in_words(checked.scores)}")
    if fits := fits_in_words(checked.audit):
        _say(console, f"borders   {fits}")
    measured = checked.suggestions
    if measured is not None:
        mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (measured.mean, measured.std))
        of = channels_in_words(checked.dataset.reading.channels)
        _say(console, f"colours   {measured.split}: mean {mean}, standard deviation {std} ({of}, 0..1)")
        ranges = ", ".join(
            f"{kind} {min(weights):.2f} to {max(weights):.2f}" for kind, weights in measured.class_weights.items()
        )
        _say(console, f"weights   loss.class_weights: {ranges} (each class: --json or --html)")
    if checked.ceiling:
        best = ", ".join(f"{percent(one.bilinear, 1)} at stride {one.stride}" for one in checked.ceiling)
        number = checked.ceiling[0].images
        images = f"{counted(number, 'image')} of {checked.ceiling_split}"
        _say(console, f"ceiling   upper bound on mIoU by output stride: {best} (%, {images})")


def _print_findings(found: Audit, console: Console) -> None:
    for finding in found.findings:
        _print_finding(finding, console)


def _print_finding(finding: Finding, console: Console) -> None:
    console.print()
    style = "bold red" if finding.severity == "error" else "bold yellow"
    head = f"{finding.severity} {finding.code}  "
    console.print(head, style=style, end="")
    console.say(finding.message, behind=len(head))
    for file in finding.files:
        _say(console, f"    {file}")
    if finding.total > len(finding.files):
        _say(console, f"    and {finding.total - len(finding.files)} more")
    if finding.fix:
        console.say(f"  fix: {finding.fix}", indent=7)


def _print_verdict(checked: Checked, console: Console) -> None:
    """Print which splits are missing, and whether training can start."""
    for field, split in checked.missing_splits.items():
        training = field == "data.train_split"
        if training and checked.explained:
            continue
        console.print()
        sign, color = ("error D221", "red") if training else ("hint", "yellow")
        console.print(sign, style=f"bold {color}", end="  ")
        present = ", ".join(f"{name} ({pairs})" for name, pairs in checked.usable_pairs.items() if pairs)
        console.say(f"{field} is '{split}', which has no usable pairs; splits with usable pairs: {present or 'none'}")
        console.say(f"  fix: {' '.join(checked.split_fix(field))}", indent=7)
    console.print()
    _say(console, checked.verdict if checked.refused else f"{checked.verdict}: {checked.train_command}")
    code = next((found.code for found in checked.audit.findings if found.severity == "error"), None)
    if checked.refused and code is not None:
        _say(console, f"`pixelwise explain {code}` says more about an error")
    if checked.split_command and not checked.refused:
        _say(console, f"that scores the training images; to hold some out first: {checked.split_command}")


def _class_table(found: Audit) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("class", overflow="fold")
    for split in found.statistics:
        table.add_column(f"{split} %", justify="right", no_wrap=True)
        table.add_column("images", justify="right", no_wrap=True)
    table.add_column("all splits", no_wrap=True)
    totals = {split: max(1, counts.labelled_pixels) for split, counts in found.statistics.items()}
    overall = max(1, sum(counts.labelled_pixels for counts in found.statistics.values()))
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
        voids.append(f"{100 * counts.void_pixels / max(1, counts.void_pixels + counts.labelled_pixels):.2f}")
        voids.append("")
    table.add_row("", "ignored", *voids, "", style="dim")
    return table


def _say(console: Console, text: str) -> None:
    console.say(text, indent=10)  # behind the word that begins a line
