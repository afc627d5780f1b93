"""The verdict of `check`: whether a data set can be trained on, what it lacks, and the recipe file that fits it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.ceiling import Ceiling, measure_ceiling
from pixelwise.datasets.auditing.layout_scores import LayoutScore, layout_scores
from pixelwise.datasets.auditing.statistics import Suggestions, suggestions
from pixelwise.datasets.opening import GENERIC_RECIPE, open_dataset, settled
from pixelwise.datasets.samples import Dataset
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable

_TRAIN, _SCORE, _SELECT = "data.train_split", "evaluation.split", "selection.split"
"""Fields of a recipe that name a split."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a check found out.

    Attributes:
        path: The folder as it was named.
        dataset: The data set as it was opened.
        audit: What is in the data, and what is wrong with it.
        recipe: The recipe that it was checked against.
        overrides: Changes of the recipe, as they were given.
        scores: How well each layout explains the folder, the one that was opened first.
        suggestions: Class weights and normalisation; None where nothing can be trained on.
        ceiling_split: Name of the split that `ceiling` was measured on.
        ceiling: The best mIoU at several output strides; empty for multi-label data.
    """

    path: Path
    dataset: Dataset
    audit: Audit
    recipe: Recipe
    overrides: tuple[str, ...]
    scores: tuple[LayoutScore, ...]
    suggestions: Suggestions | None
    ceiling_split: str
    ceiling: tuple[Ceiling, ...]

    @property
    def refused(self) -> bool:
        """Whether training would be wrong or impossible."""
        return self.refused_types > 0

    @property
    def refused_types(self) -> int:
        """Number of error types that stop training: those not allowed, and a training split without pairs."""
        codes = [finding.code for finding in self.audit.errors if finding.code not in self.recipe.data.allow]
        return len(codes) + (_TRAIN in self.missing_splits and "D221" not in codes and not self.explained)

    @property
    def explained(self) -> bool:
        """Whether there are pairs to train on, and errors that are reported anyway say why none can be used."""
        errors = any(finding.code not in self.recipe.data.allow for finding in self.audit.errors)
        return errors and self.audit.splits.get(self.recipe.data.train_split, 0) > 0

    @property
    def usable_pairs(self) -> dict[str, int]:
        """Number of pairs per split that training can use."""
        unusable = self.audit.unusable
        return {split: pairs - len(unusable.get(split, ())) for split, pairs in self.audit.splits.items()}

    @property
    def missing_splits(self) -> dict[str, str]:
        """Field of the recipe -> the split that it names, where that has no usable pair."""
        recipe, usable = self.recipe, self.usable_pairs
        needed = {_TRAIN: recipe.data.train_split, _SCORE: recipe.evaluation.split}
        if recipe.selection.every_epochs:
            needed[_SELECT] = recipe.selection.split
        if not any(usable.values()):
            # Without a single pair there is no other split to propose.
            needed = {_TRAIN: recipe.data.train_split}
        return {field: split for field, split in needed.items() if not usable.get(split)}

    @property
    def fixes(self) -> list[str]:
        """The overrides that replace splits which the data lacks."""
        return [fix for field in self.missing_splits if field != _TRAIN for fix in self.split_fix(field)]

    @property
    def verdict(self) -> str:
        """`2 error types, 1 warning type: fix the errors before training`, `1 warning type; ready`, or `ready`."""
        found, refused = self.audit, self.refused_types
        allowed = sum(finding.code in self.recipe.data.allow for finding in found.errors)
        warnings = len(found.findings) - len(found.errors)
        counts = [
            *([_types(refused, "error")] if refused else []),
            *([f"{_types(allowed, 'error')} allowed by data.allow"] if allowed else []),
            *([_types(warnings, "warning")] if warnings else []),
        ]
        if refused:
            return f"{', '.join(counts)}: fix the errors before training"
        note = f"{', '.join(counts)}; " if counts else ""
        return f"{note}{'ready with other splits' if self.fixes else 'ready'}"

    @property
    def train_command(self) -> str:
        """The command that trains on this data, with the splits it has."""
        instead = self.fixes
        replaced = {fix.partition("=")[0] for fix in instead}
        kept = [override for override in self.overrides if override.partition("=")[0].strip() not in replaced]
        command = ["pixelwise", "train", self.recipe.name, "--data", printable(self.path)]
        return shlex.join([*command, *kept, *instead])

    def split_fix(self, field: str) -> list[str]:
        """What to do about a missing split: overrides, or for the training split a sentence.

        Args:
            field: A key of `missing_splits`.
        """
        train, pairs = self.recipe.data.train_split, self.usable_pairs
        usable = [split for split, number in pairs.items() if number and split != train]
        if field == _TRAIN:
            another = f", or name another split, for example {_TRAIN}={usable[0]}" if usable else ""
            return [f"add images with masks to split '{train}'{another}"]
        if field == _SCORE:
            return [f"{_SCORE}={'val' if 'val' in usable else usable[0] if usable else train}"]
        # Weights chosen on the test images would make their score worthless.
        return [f"{_SELECT}=val"] if "val" in usable else ["selection.weights=last", "selection.every_epochs=0"]

    def data_file(self) -> str:
        """A recipe file that trains on this data: classes, colours, label map, splits, normalisation."""
        data = msgspec.structs.replace(settled(self.recipe.data, self.dataset), dataset=self.dataset.name)
        defaults = msgspec.to_builtins(Data())
        plain = {name: value for name, value in msgspec.to_builtins(data).items() if value != defaults.get(name)}
        tables: dict[str, Any] = {"data": {name: value for name, value in plain.items() if isinstance(value, dict)}}
        for fix in self.fixes:
            field, _, value = fix.partition("=")
            part, _, name = field.partition(".")
            tables.setdefault(part, {})[name] = int(value) if value.isdigit() else value
        lines = [
            f"# Written by `pixelwise check {shlex.quote(printable(self.path))}`.",
            f"base = {json.dumps(self.recipe.name)}",
            "",
            "[data]",
            # An array per line: tomli-w would give every number of a palette its own.
            *(f"{name} = {json.dumps(value)}" for name, value in plain.items() if name not in tables["data"]),
            *([""] if any(tables.values()) else []),
            *tomli_w.dumps(tables).removeprefix("[data]\n").strip().splitlines(),
            *self._normalisation(),
        ]
        return "\n".join(lines) + "\n"

    def to_plain(self) -> dict[str, Any]:
        """The fields of the audit, and what was measured besides, for JSON."""
        return {
            **msgspec.structs.asdict(self.audit),
            "other_splits": self.dataset.other_splits,
            "layout_scores": [{**msgspec.structs.asdict(score), "share": score.share} for score in self.scores],
            "suggestions": self.suggestions,
            "ceiling_split": self.ceiling_split,
            "ceiling": self.ceiling,
        }

    def _normalisation(self) -> list[str]:
        """The lines of a recipe file that normalise images by what was measured; comments for pretrained weights."""
        measured = self.suggestions
        if measured is None:
            return []
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (measured.mean, measured.std))
        other = self.recipe.data.bands != 3
        scratch = other or self.recipe.initialize.encoder in (None, "none")
        wanted = "Pretrained weights want the normalisation they were trained with" + (
            "; these start from scratch." if scratch else ", so this is left out:"
        )
        sign = "" if scratch else "# "
        return [
            "",
            f"# Measured on {measured.split}" + (", one value per band." if other else f". {wanted}"),
            f"{sign}[model.preprocessing]",
            *(f"{sign}{name} = [{values}]" for name, values in (("mean", mean), ("std", std))),
        ]


def examined(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    recipe: str | None = None,
    fresh: bool = False,
    observer: Observer = SILENT,
) -> Checked:
    """Look at the data set in `path` as `recipe` (or any recipe for own data) would read it.

    Args:
        path: The folder of the data set.
        overrides: Changes of the recipe, such as `data.exif=ignore`.
        recipe: Name of a recipe, or a recipe file; None: a recipe for own data.
        fresh: Examine every file again instead of remembering earlier examinations.
        observer: Told how many images are examined.

    Raises:
        DataError: D222, no data set there; what opening it raises.
        RecipeError: The recipe or an override is wrong.
    """
    resolved = apply_overrides(find_recipe(recipe or GENERIC_RECIPE), overrides)
    dataset = open_dataset(resolved.data, path)
    found = audit(dataset, fresh=fresh, observer=observer)
    checked = Checked(
        path=path,
        dataset=dataset,
        audit=found,
        recipe=resolved,
        overrides=tuple(overrides),
        scores=layout_scores(dataset),
        suggestions=suggestions(found, resolved.data.train_split),
        ceiling_split="",
        ceiling=(),
    )
    usable = [name for name, pairs in checked.usable_pairs.items() if pairs]
    preferred = [name for name in (resolved.evaluation.split, "val", "test") if name in usable]
    split = next(iter(preferred or usable), "")
    if not split:
        return checked
    unusable = set(found.unusable.get(split, ()))
    ceiling: tuple[Ceiling, ...] = ()
    if not dataset.multilabel:
        ceiling = measure_ceiling(dataset, [s for s in dataset.splits[split] if s.id not in unusable])
    return msgspec.structs.replace(checked, ceiling_split=split, ceiling=ceiling)


def _types(count: int, what: str) -> str:
    return f"{count} {what} type{'' if count == 1 else 's'}"
