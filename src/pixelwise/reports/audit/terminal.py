"""The audit of a data set on a terminal, as JSON, and as a recipe file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pixelwise.datasets.auditing.audit import Audit
from pixelwise.datasets.auditing.checking import (
    Checked,
    as_plain,
    check,
    data_file,
    explained,
    missing_splits,
    refused_kinds,
    split_fix,
    train_command,
    usable_pairs,
    verdict,
)
from pixelwise.datasets.auditing.layout_scores import LayoutScore
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.samples import Dataset
from pixelwise.reports.displays import CountDisplay
from pixelwise.reports.numbers import percent
from pixelwise.storage import json_text, printable, write_text

BAR_WIDTH = 16


def check_and_show(
    path: Path,
    overrides: Sequence[str],
    *,
    recipe: str | None,
    fresh: bool,
    as_json: bool,
    html: Path | None = None,
    write: Path | None = None,
) -> bool:
    """Audit a folder and print what was found; returns whether training would be wrong or impossible.

    Args:
        path: The folder.
        overrides: Of the recipe.
        recipe: Its name; None takes one for own data.
        fresh: Look at every file again.
        as_json: Print JSON instead of tables.
        html: Where to write the page, if at all.
        write: Where to write a recipe file for this data, if at all.
    """
    with CountDisplay("looking at the data") as display:
        checked = check(path, overrides, recipe=recipe, fresh=fresh, progress=display)
    if as_json:
        sys.stdout.write(json_text(as_plain(checked)))
    else:
        console = Console()
        print_audit(checked.audit, path, console, checked.dataset.other_splits)
        _print_measured(checked, console)
        _print_findings(checked.audit, console)
        _print_verdict(checked, console)
    # What was written goes to standard error, so that `--json > file` stays JSON.
    notes = Console(stderr=True)
    if html is not None:
        from pixelwise.reports.audit.page import write_check_page

        _say(notes, f"page      {printable(write_check_page(checked, html))}")
    if write is not None:
        write_text(write, data_file(checked))
        command = shlex.join(["pixelwise", "train", printable(write), "--data", printable(path)])
        _say(notes, f"recipe    {printable(write)}: {command}")
    return refused_kinds(checked.audit, checked.recipe) > 0


def print_audit(found: Audit, path: Path, console: Console, others: Mapping[str, int] | None = None) -> None:
    """Layout, pairs, sizes, and classes with their share.

    Args:
        found: The audit.
        path: The folder as it was named.
        console: Where to print.
        others: Pairs of the splits that could be trained on instead.
    """
    _say(console, f"{printable(path)}: {found.dataset}, {found.layout}")
    pairs = ", ".join(f"{count} {split}" for split, count in found.splits.items())
    _say(console, f"pairs     {pairs or 'none'}")
    if others:
        _say(console, f"          also {other_splits_in_words(others)}")
    if found.sizes.distinct:
        _say(console, f"images    {sizes_in_words(found)}")
    if found.mask_encodings:
        _say(
            console,
            "masks     " + ", ".join(f"{count} {kind}" for kind, count in found.mask_encodings.items()),
        )
    console.print()
    console.print(_class_table(found))


def other_splits_in_words(others: Mapping[str, int]) -> str:
    """`10582 train_aug (data.train_split=train_aug)`."""
    return ", ".join(f"{pairs} {split} (data.train_split={split})" for split, pairs in others.items())


def sizes_in_words(found: Audit) -> str:
    """`480x360 (WxH), all`, or the most common one and the range."""
    sizes = found.sizes
    common, smallest, largest = (f"{w}x{h}" for h, w in (sizes.most_common, sizes.smallest, sizes.largest))
    other = "all" if sizes.distinct == 1 else f"{sizes.most_common_images} of them, {smallest} to {largest} in all"
    return f"{common} (WxH), {other}"


def channels_in_words(channels: Sequence[int] | None, rgb: str = "RGB") -> str:
    """`RGB`, or which bands values are of."""
    return rgb if channels is None else f"band{'s' if len(channels) > 1 else ''} {', '.join(map(str, channels))}"


def layout_in_words(scores: Sequence[LayoutScore]) -> str:
    """How much of the folder the layout explains, and which one comes second; lists may name files elsewhere."""
    first, *others = scores
    used = f"uses {_share(first)} of {first.files} image files" if first.files else "its images lie elsewhere"
    if not others:
        return f"{used}; no other layout fits"
    return f"{used}; the next best would be data.dataset={others[0].name} with {_share(others[0])}"


def _share(score: LayoutScore) -> str:
    return f"{100 * score.share:.0f}\u00a0%" if score.used in (0, score.files) else f"{100 * score.share:.1f}\u00a0%"


def class_files_in_words(dataset: Dataset) -> str:
    """How many images have a mask of each class of multi-label data."""
    samples = [sample for found in dataset.splits.values() for sample in found]
    numbers = [
        f"{name} {sum(sample.class_masks[class_id] is not None for sample in samples)}"
        for class_id, name in enumerate(dataset.classes)
    ]
    ignored = sum(sample.ignore_mask is not None for sample in samples)
    last = f", ignore {ignored}" if ignored else ""
    return f"masks for {len(samples)} images: {', '.join(numbers)}{last}; a class without a file is absent there"


def videos_in_words(found: Audit) -> list[str]:
    """One sentence per split of which a tenth or more looks like an image before it."""
    return [
        f"{split}: {counts.repeated} of {counts.images} images look like one shortly before them, "
        f"so it says about as much as {max(1, counts.images - counts.repeated)} images"
        for split, counts in found.statistics.items()
        if counts.images and counts.repeated >= 0.1 * counts.images
    ]


def _print_measured(checked: Checked, console: Console) -> None:
    console.print()
    _say(console, f"layout    {layout_in_words(checked.scores)}")
    if checked.dataset.multilabel:
        _say(console, f"files     {class_files_in_words(checked.dataset)}")
    for sentence in videos_in_words(checked.audit):
        _say(console, f"video     {sentence}")
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
        images = f"{number} {'image' if number == 1 else 'images'} of {checked.ceiling_split}"
        _say(console, f"ceiling   the truth itself, shrunk and enlarged, scores mIoU {best} (%, {images})")


def _print_findings(found: Audit, console: Console) -> None:
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


def _print_verdict(checked: Checked, console: Console) -> None:
    """The splits that the recipe needs and the data lacks, and whether training can begin."""
    found, recipe = checked.audit, checked.recipe
    trained = recipe.data.train_split
    for field, split in missing_splits(found, recipe).items():
        if field == "data.train_split" and explained(found, recipe):
            continue
        console.print()
        if field == "data.train_split":
            console.print("error D221", style="bold red", end="  ")
        else:
            console.print("hint", style="bold yellow", end="  ")
        present = ", ".join(f"{name} ({pairs})" for name, pairs in usable_pairs(found).items() if pairs)
        _say(console, f"{field} is '{split}', which has no usable pair; splits that have some: {present or 'none'}")
        _say(console, f"  fix: {' '.join(split_fix(field, found, recipe))}")
        if field == "evaluation.split" and list(filter(usable_pairs(found).get, found.splits)) == [trained]:
            path = shlex.quote(printable(checked.path))
            _say(console, f"  that scores what was trained on; to keep a part for scoring: pixelwise data split {path}")
    console.print()
    if refused_kinds(found, recipe):
        _say(console, f"{verdict(checked)} (docs/errors.md)")
    else:
        _say(console, f"{verdict(checked)}: {train_command(checked)}")


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
        bar = "█" * round(BAR_WIDTH * share) or ("▏" if share else "")  # of the labelled pixels
        table.add_row(str(class_id), name, *cells, bar)
    voids: list[str] = []
    for counts in found.statistics.values():
        voids.append(f"{100 * counts.void_pixels / max(1, counts.void_pixels + counts.labelled_pixels):.2f}")
        voids.append("")
    table.add_row("", "ignored", *voids, "", style="dim")
    return table


def _say(console: Console, text: str) -> None:
    # File names may hold what rich would take for markup.
    console.print(text, markup=False, highlight=False, soft_wrap=True)
