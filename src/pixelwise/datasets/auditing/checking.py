"""The verdict of `check`: whether a data set can be trained on, what it lacks, and the recipe file that fits it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import tomli_w

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.ceiling import Ceiling, measure_ceiling
from pixelwise.datasets.auditing.layout_scores import LayoutScore, layout_scores
from pixelwise.datasets.auditing.statistics import Suggestions, suggestions
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.storage import printable

GENERIC_RECIPE = "unet-resnet18"
"""Whose data section says how to look at a folder when no recipe is named."""


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


def check(
    path: Path,
    overrides: Sequence[str],
    *,
    recipe: str | None = None,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Look at the data set in `path` as `recipe` (or any recipe for own data) would read it.

    Args:
        path: The folder of the data set.
        overrides: Changes of the recipe, `section.field=value` each.
        recipe: Name of a recipe; None: `GENERIC_RECIPE`.
        fresh: Examine every file again instead of remembering earlier examinations.
        progress: Called with the numbers of images examined and of all images.

    Raises:
        DataError: D222, no data set there.
        RecipeError: The recipe or an override is wrong.
    """
    resolved = apply_overrides(find_recipe(recipe or GENERIC_RECIPE), overrides)
    dataset = open_dataset(resolved.data, path)
    found = audit(dataset, progress=progress, fresh=fresh)
    usable = [name for name, pairs in usable_pairs(found).items() if pairs]
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


def train_command(checked: Checked) -> str:
    """The command that trains on this data, with the splits it has."""
    instead = fixes(checked)
    replaced = {fix.partition("=")[0] for fix in instead}
    kept = [override for override in checked.overrides if override.partition("=")[0].strip() not in replaced]
    command = ["pixelwise", "train", checked.recipe.name, "--data", printable(checked.path)]
    return shlex.join([*command, *kept, *instead])


def fixes(checked: Checked) -> list[str]:
    """The overrides that replace splits which the data lacks."""
    missing = missing_splits(checked.audit, checked.recipe)
    return [
        fix
        for field in missing
        if field != "data.train_split"
        for fix in split_fix(field, checked.audit, checked.recipe)
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


def refused_kinds(found: Audit, recipe: Recipe) -> int:
    """How many kinds of errors stop training: those not allowed, and a training split without pairs."""
    codes = [finding.code for finding in found.errors if finding.code not in recipe.data.allow]
    nothing_to_train_on = "data.train_split" in missing_splits(found, recipe)
    return len(codes) + (nothing_to_train_on and "D221" not in codes and not explained(found, recipe))


def explained(found: Audit, recipe: Recipe) -> bool:
    """Whether there are pairs to train on, and errors that are reported anyway say why none can be used."""
    refused = any(finding.code not in recipe.data.allow for finding in found.errors)
    return refused and found.splits.get(recipe.data.train_split, 0) > 0


def usable_pairs(found: Audit) -> dict[str, int]:
    """Number of pairs per split that training can use."""
    return {split: pairs - len(found.unusable.get(split, ())) for split, pairs in found.splits.items()}


def missing_splits(found: Audit, recipe: Recipe) -> dict[str, str]:
    """Field of the recipe -> the split it names, where that has no usable pair."""
    needed = {"data.train_split": recipe.data.train_split, "evaluation.split": recipe.evaluation.split}
    if recipe.selection.every_epochs:
        needed["selection.split"] = recipe.selection.split
    usable = usable_pairs(found)
    if not any(usable.values()):
        # Without a single pair there is no other split to propose.
        needed = {"data.train_split": recipe.data.train_split}
    return {field: split for field, split in needed.items() if not usable.get(split)}


def split_fix(field: str, found: Audit, recipe: Recipe) -> list[str]:
    """What to do about a missing split: overrides, or for the training split a sentence."""
    train = recipe.data.train_split
    usable = [split for split, pairs in usable_pairs(found).items() if pairs and split != train]
    if field == "data.train_split":
        another = f", or name another split, for example data.train_split={usable[0]}" if usable else ""
        return [f"add images with masks to split '{train}'{another}"]
    if field == "evaluation.split":
        return [f"evaluation.split={'val' if 'val' in usable else usable[0] if usable else train}"]
    # Weights chosen on the test images would make their score worthless.
    return ["selection.split=val"] if "val" in usable else ["selection.weights=last", "selection.every_epochs=0"]


def _kinds(count: int, what: str) -> str:
    return f"{count} kind{'' if count == 1 else 's'} of {what}"
