"""The audit of a data set on a terminal, as JSON, and as a recipe file."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import tomli_w
from rich.console import Console
from rich.table import Table

from pixelwise.datasets.audit import Audit, audit
from pixelwise.datasets.ceiling import Ceiling, measure_ceiling
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layout_scores import LayoutScore, layout_scores
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.samples import Dataset
from pixelwise.datasets.statistics import Suggestions, suggestions
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema import Data, Recipe
from pixelwise.reports.counting import CountDisplay
from pixelwise.reports.numbers import percent
from pixelwise.storage import printable, write_text

GENERIC_RECIPE = "unet-resnet18"
"""Whose data section says how to look at a folder when no recipe is named."""
BAR_WIDTH = 16


class Checked(NamedTuple):
    """Everything that a check found out.

    Attributes:
        path: The folder as it was named.
        dataset: As opened.
        audit: What is in it, and what is wrong.
        recipe: What it was checked against.
        scores: Of the layouts, the recognised one first.
        suggestions: Class weights and normalisation; None where nothing can be trained on.
        ceiling_split: The split that `ceiling` was measured on.
        ceiling: The best mIoU at several output strides; not measured for multi-label data.
        overrides: As the user gave them.
    """

    path: Path
    dataset: Dataset
    audit: Audit
    recipe: Recipe
    scores: tuple[LayoutScore, ...]
    suggestions: Suggestions | None
    ceiling_split: str
    ceiling: tuple[Ceiling, ...]
    overrides: tuple[str, ...]


def check(path: Path, overrides: Sequence[str], *, recipe: str | None = None, fresh: bool = False) -> Checked:
    """Look at the data set in `path` as `recipe` (or any recipe for own data) would read it.

    Raises:
        DataError: D222, no data set there.
        RecipeError: The recipe or an override is wrong.
    """
    resolved = apply_overrides(find_recipe(recipe or GENERIC_RECIPE), overrides)
    dataset = open_dataset(resolved.data, path)
    with CountDisplay("looking at the data") as display:
        found = audit(dataset, progress=display, fresh=fresh)
    usable = [name for name, pairs in _usable_pairs(found).items() if pairs]
    preferred = [name for name in (resolved.evaluation.split, "val", "test") if name in usable]
    split = next(iter(preferred or usable), "")
    unusable = set(found.unusable.get(split, ()))
    ceiling: tuple[Ceiling, ...] = ()
    if not dataset.multilabel:
        ceiling = measure_ceiling(dataset, [s for s in dataset.splits.get(split, ()) if s.id not in unusable])
    return Checked(
        path=path,
        dataset=dataset,
        audit=found,
        recipe=resolved,
        scores=layout_scores(dataset),
        suggestions=suggestions(found, resolved.data.train_split),
        ceiling_split=split,
        ceiling=ceiling if split else (),
        overrides=tuple(overrides),
    )


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
    checked = check(path, overrides, recipe=recipe, fresh=fresh)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(as_plain(checked)), indent=1).decode() + "\n")
    else:
        console = Console()
        print_audit(checked.audit, path, console, checked.dataset.other_splits)
        _print_measured(checked, console)
        _print_findings(checked.audit, console)
        _print_verdict(checked, console)
    # What was written goes to standard error, so that `--json > file` stays JSON.
    notes = Console(stderr=True)
    if html is not None:
        from pixelwise.reports.check_page import write_check_page

        _say(notes, f"page      {printable(write_check_page(checked, html))}")
    if write is not None:
        write_text(write, data_file(checked))
        command = shlex.join(["pixelwise", "train", printable(write), "--data", printable(path)])
        _say(notes, f"recipe    {printable(write)}: {command}")
    return refused_kinds(checked.audit, checked.recipe) > 0


def as_plain(checked: Checked) -> dict[str, Any]:
    """The fields of the audit, and what was measured besides."""
    return {
        **msgspec.structs.asdict(checked.audit),
        "other_splits": checked.dataset.other_splits,
        "layout_scores": [{**msgspec.structs.asdict(score), "share": score.share} for score in checked.scores],
        "suggestions": checked.suggestions,
        "ceiling_split": checked.ceiling_split,
        "ceiling": checked.ceiling,
    }


def data_file(checked: Checked) -> str:
    """A recipe file that trains on this data: classes, colours, label map, splits, normalisation."""
    data = msgspec.structs.replace(settled(checked.recipe.data, checked.dataset), dataset=checked.dataset.name)
    defaults = msgspec.to_builtins(Data())
    plain = {name: value for name, value in msgspec.to_builtins(data).items() if value != defaults.get(name)}
    tables: dict[str, Any] = {"data": {name: value for name, value in plain.items() if isinstance(value, dict)}}
    for fix in fixes(checked):
        field, _, value = fix.partition("=")
        part, _, name = field.partition(".")
        tables.setdefault(part, {})[name] = int(value) if value.isdigit() else value
    lines = [
        f"# Written by `pixelwise check {shlex.quote(printable(checked.path))}`.",
        f"base = {json.dumps(checked.recipe.name)}",
        "",
        "[data]",
        # An array per line: tomli-w would give every number of a palette its own.
        *(f"{name} = {json.dumps(value)}" for name, value in plain.items() if name not in tables["data"]),
        *([""] if any(tables.values()) else []),
        *tomli_w.dumps(tables).removeprefix("[data]\n").strip().splitlines(),
    ]
    measured = checked.suggestions
    if measured is not None:
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (measured.mean, measured.std))
        other = checked.recipe.data.bands != 3
        scratch = other or checked.recipe.initialize.encoder in (None, "none")
        wanted = "Pretrained weights want the normalisation they were trained with" + (
            "; these start from scratch." if scratch else ", so this is left out:"
        )
        lines += [
            "",
            f"# Measured on {measured.split}" + (", one value per band." if other else f". {wanted}"),
            *(["[model.preprocessing]"] if scratch else ["# [model.preprocessing]"]),
            *(f"{'' if scratch else '# '}{name} = [{values}]" for name, values in (("mean", mean), ("std", std))),
        ]
    return "\n".join(lines) + "\n"


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


def train_command(checked: Checked) -> str:
    """The command that trains on this data, with the splits it has."""
    instead = fixes(checked)
    replaced = {fix.partition("=")[0] for fix in instead}
    kept = [override for override in checked.overrides if override.partition("=")[0].strip() not in replaced]
    command = ["pixelwise", "train", checked.recipe.name, "--data", printable(checked.path)]
    return shlex.join([*command, *kept, *instead])


def fixes(checked: Checked) -> list[str]:
    """The overrides that replace splits which the data lacks."""
    missing = _missing_splits(checked.audit, checked.recipe)
    return [
        fix
        for field in missing
        if field != "data.train_split"
        for fix in _split_fix(field, checked.audit, checked.recipe)
    ]


def verdict(checked: Checked) -> str:
    """`2 kinds of errors, 1 kind of warnings: training would be wrong`, `1 kind of warnings; ready`, `ready`."""
    found, recipe = checked.audit, checked.recipe
    refused = refused_kinds(found, recipe)
    allowed = sum(finding.code in recipe.data.allow for finding in found.errors)
    warnings = len(found.findings) - len(found.errors)
    counts = [
        *([_kinds(refused, "errors")] if refused else []),
        *([f"{_kinds(allowed, 'errors')} allowed by data.allow"] if allowed else []),
        *([_kinds(warnings, "warnings")] if warnings else []),
    ]
    if refused:
        return f"{', '.join(counts)}: training would be wrong"
    note = f"{', '.join(counts)}; " if counts else ""
    return f"{note}{'ready with other splits' if fixes(checked) else 'ready'}"


def _print_verdict(checked: Checked, console: Console) -> None:
    """The splits that the recipe needs and the data lacks, and whether training can begin."""
    found, recipe = checked.audit, checked.recipe
    trained = recipe.data.train_split
    for field, split in _missing_splits(found, recipe).items():
        if field == "data.train_split" and _explained(found, recipe):
            continue
        console.print()
        if field == "data.train_split":
            console.print("error D221", style="bold red", end="  ")
        else:
            console.print("hint", style="bold yellow", end="  ")
        present = ", ".join(f"{name} ({pairs})" for name, pairs in _usable_pairs(found).items() if pairs)
        _say(console, f"{field} is '{split}', which has no usable pair; splits that have some: {present or 'none'}")
        _say(console, f"  fix: {' '.join(_split_fix(field, found, recipe))}")
        if field == "evaluation.split" and list(filter(_usable_pairs(found).get, found.splits)) == [trained]:
            path = shlex.quote(printable(checked.path))
            _say(console, f"  that scores what was trained on; to keep a part for scoring: pixelwise data split {path}")
    console.print()
    if refused_kinds(found, recipe):
        _say(console, f"{verdict(checked)} (docs/errors.md)")
    else:
        _say(console, f"{verdict(checked)}: {train_command(checked)}")


def refused_kinds(found: Audit, recipe: Recipe) -> int:
    """How many kinds of errors stop training: those not allowed, and a training split without pairs."""
    codes = [finding.code for finding in found.errors if finding.code not in recipe.data.allow]
    nothing_to_train_on = "data.train_split" in _missing_splits(found, recipe)
    return len(codes) + (nothing_to_train_on and "D221" not in codes and not _explained(found, recipe))


def _explained(found: Audit, recipe: Recipe) -> bool:
    """Whether there are pairs to train on, and errors that are reported anyway say why none can be used."""
    refused = any(finding.code not in recipe.data.allow for finding in found.errors)
    return refused and found.splits.get(recipe.data.train_split, 0) > 0


def _usable_pairs(found: Audit) -> dict[str, int]:
    return {split: pairs - len(found.unusable.get(split, ())) for split, pairs in found.splits.items()}


def _missing_splits(found: Audit, recipe: Recipe) -> dict[str, str]:
    """Field of the recipe -> the split it names, where that has no usable pair."""
    needed = {"data.train_split": recipe.data.train_split, "evaluation.split": recipe.evaluation.split}
    if recipe.selection.every_epochs:
        needed["selection.split"] = recipe.selection.split
    usable = _usable_pairs(found)
    if not any(usable.values()):
        # Without a single pair there is no other split to propose.
        needed = {"data.train_split": recipe.data.train_split}
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
