"""The verdict of `check`: whether a data set can be trained on, what it lacks, and the recipe file that fits it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.ceiling import Ceiling, measure_ceiling
from pixelwise.datasets.auditing.layout_scores import LayoutScore, layout_scores
from pixelwise.datasets.auditing.statistics import Suggestions, suggestions
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import format_of
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import harmless
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.catalog import list_recipes
from pixelwise.recipes.files import SUFFIX
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides, field_of, toml_value
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.views import html_legend, html_table, line

FEW_IMAGES = 10
"""A split with fewer images is too small to learn from or to compare runs by."""
_TRAIN, _SCORE, _SELECT = "data.train_split", "evaluation.split", "selection.split"
"""Recipe fields that name a split."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check.

    Attributes:
        path: The folder, as the user gave it.
        dataset: The opened data set.
        audit: The audit of the data set.
        given: Name or file of the recipe, as the user gave it.
        recipe: The recipe that the data was checked against.
        overrides: Overrides of the recipe, as given.
        scores: Scores of the layouts that explain the folder, the one it was opened with first.
        suggestions: Class weights and normalisation; None if there is nothing to train on.
        ceiling_split: Name of the split that `ceiling` was measured on; empty if no split has a usable pair.
        ceiling: The best possible mIoU at several output strides; empty for multi-label data or without a split.
        settings: Settings of the recipe that do not fit the data, such as a warm-up that is longer than the run. They
            are warnings about the recipe, not about the data.
    """

    path: Path
    dataset: Dataset
    audit: Audit
    given: str
    recipe: Recipe
    overrides: tuple[str, ...]
    scores: tuple[LayoutScore, ...]
    suggestions: Suggestions | None
    ceiling_split: str
    ceiling: tuple[Ceiling, ...]
    settings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        pairs = ", ".join(f"{number} {split}" for split, number in self.audit.splits.items())
        return line("Checked", printable(self.path), pairs, self.verdict)

    def _repr_html_(self) -> str:
        pairs = ", ".join(f"{number} {split}" for split, number in self.audit.splits.items())
        classes = html_legend(self.dataset.classes, self.dataset.palette)
        found = [(one.code, one.message, one.fix) for one in (*self.audit.findings, *self.settings)]
        rows = found or [("", "nothing", "")]
        table = html_table(
            ("code", "found", "fix"), rows, title=f"{printable(self.path)}: {pairs}; {self.verdict}", prose=True
        )
        return f"{table}{classes}"

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
        """Whether the training split has pairs, and the reported errors already explain why none is usable."""
        errors = [finding.code for finding in self.audit.errors if finding.code not in self.recipe.data.allow]
        # Files that were not paired are reported, too.
        return bool(errors) and ("D220" in errors or self.audit.splits.get(self.recipe.data.train_split, 0) > 0)

    @property
    def read_as(self) -> str:
        """The sentence that names alone gave the classes; empty if the recipe, the files or the masks did."""
        format = format_of(self.dataset.name)
        if self.recipe.data.dataset != "auto" or format.classes is None:
            return ""
        instead = "for other classes, call the folders images/ and masks/"
        if any(score.name == "folder" and score.pairs for score in self.scores):
            instead = "data.dataset=folder for other classes"
        elif format.drawn:
            instead = "data.dataset=coco for other classes"
        return f"read as {format.title} because of the names; {instead}"

    @property
    def usable_pairs(self) -> dict[str, int]:
        """Number of usable pairs per split."""
        unusable = self.audit.unusable
        return {split: pairs - len(unusable.get(split, ())) for split, pairs in self.audit.splits.items()}

    @property
    def missing_splits(self) -> dict[str, str]:
        """Recipe field -> the split it names, for the splits without a usable pair."""
        recipe, usable = self.recipe, self.usable_pairs
        needed = {_TRAIN: recipe.data.train_split, _SCORE: recipe.evaluation.split}
        if recipe.selection.every_epochs:
            needed[_SELECT] = recipe.selection.split
        if not any(usable.values()):
            # Without any usable pair there is no other split to propose.
            needed = {_TRAIN: recipe.data.train_split}
        return {field: split for field, split in needed.items() if not usable.get(split)}

    @property
    def fixes(self) -> list[str]:
        """Overrides that name other splits in place of the missing ones; there are none for the training split."""
        return [fix for field in self.missing_splits if field != _TRAIN for fix in self.split_fix(field)]

    @property
    def verdict(self) -> str:
        """`2 errors (5 files), 1 warning: fix the errors before training`, `1 warning (3 files); ready`, or `ready`."""
        found, refused = self.audit, self.refused_types
        allowed = [one for one in found.errors if one.code in self.recipe.data.allow]
        errors = [one for one in found.errors if one.code not in self.recipe.data.allow]
        warnings = [one for one in found.findings if one.severity == "warning"]
        counts = [
            *([_with_files(refused, "error", errors)] if refused else []),
            *([f"{_with_files(len(allowed), 'error', allowed)} allowed by data.allow"] if allowed else []),
            *([_with_files(len(warnings), "warning", warnings)] if warnings else []),
        ]
        if refused:
            return f"{', '.join(counts)}: fix the errors before training"
        note = f"{', '.join(counts)}; " if counts else ""
        return f"{note}{'ready with other splits' if self.fixes else 'ready'}"

    @property
    def train_command(self) -> str:
        """The command that trains on this data, using the splits it has."""
        instead = [*self.fixes, *self.batch_fix]
        replaced = {field_of(fix) for fix in instead}
        kept = [override for override in self.overrides if field_of(override) not in replaced]
        named, folder = printable(Path(self.given)), printable(self.path)
        # A folder alone means this recipe, unless its name is that of a recipe.
        alone = named == DEFAULT_RECIPE and folder not in list_recipes()
        return shlex.join(["pixelwise", "train", *([] if alone else [named, "--data"]), folder, *kept, *instead])

    @property
    def split_command(self) -> str:
        """The command that holds images out to score on, if all pairs are in the training split; empty if not."""
        usable = [name for name, pairs in self.usable_pairs.items() if pairs]
        if _SCORE not in self.missing_splits or usable != [self.recipe.data.train_split]:
            return ""
        data = [one for one in self.overrides if one.startswith("data.")]
        return shlex.join(["pixelwise", "data", "split", printable(self.path), *data])

    @property
    def batch_fix(self) -> list[str]:
        """The override for a batch that the training split can fill, if the recipe's is larger and not planned."""
        if "sampling.batch_size" in self.recipe.planned:
            return []
        images, size = self.usable_pairs.get(self.recipe.data.train_split, 0), self.recipe.sampling.batch_size
        if math.prod(self.audit.sizes.largest) > self.recipe.data.max_pixels:
            return []  # an epoch draws many crops of an image that is read in parts
        return [f"sampling.batch_size={images}"] if 0 < images < size else []

    def split_fix(self, field: str) -> list[str]:
        """The fix for a missing split: overrides, or one sentence for the training split.

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
        # Selecting a checkpoint on the test images would make their score worthless.
        return [f"{_SELECT}=val"] if "val" in usable else ["selection.weights=last", "selection.every_epochs=0"]

    def data_file(self) -> str:
        """The text of a recipe file for this data: classes, colours, label map, splits, normalisation."""
        data = msgspec.structs.replace(settled(self.recipe.data, self.dataset), dataset=self.dataset.name)
        defaults = msgspec.to_builtins(Data())
        plain = {name: value for name, value in msgspec.to_builtins(data).items() if value != defaults.get(name)}
        tables: dict[str, Any] = {"data": {name: value for name, value in plain.items() if isinstance(value, dict)}}
        for fix in self.fixes:
            field, _, value = fix.partition("=")
            part, _, name = field.partition(".")
            tables.setdefault(part, {})[name] = int(value) if value.isdigit() else value
        # `base` is found from the working folder, so only a whole path holds wherever the new file is used.
        base = str(Path(self.given).resolve()) if self.given.endswith(SUFFIX) else self.given
        lines = [
            f"# Written by `pixelwise check {shlex.quote(printable(self.path))}`.",
            f"base = {toml_value(base)}",
            "",
            "[data]",
            # One array per line: tomli-w would give every value of a palette a line of its own.
            *(f"{name} = {_toml_line(value)}" for name, value in plain.items() if name not in tables["data"]),
            *([""] if any(tables.values()) else []),
            *tomli_w.dumps(tables).removeprefix("[data]\n").strip().splitlines(),
            *self._normalisation(),
        ]
        return "\n".join(lines) + "\n"

    def to_plain(self) -> dict[str, Any]:
        """The audit and the other measurements as plain values, for JSON."""
        return {
            **msgspec.structs.asdict(self.audit),
            "other_splits": self.dataset.other_splits,
            "read_as": self.read_as,
            "layout_scores": [{**msgspec.structs.asdict(score), "share": score.share} for score in self.scores],
            "suggestions": self.suggestions,
            "ceiling_split": self.ceiling_split,
            "ceiling": self.ceiling,
            "settings": self.settings,
        }

    def _normalisation(self) -> list[str]:
        """Recipe lines with the measured normalisation, commented out for pretrained weights."""
        measured = self.suggestions
        if measured is None:
            return []
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (measured.mean, measured.std))
        other = self.recipe.data.bands != 3
        scratch = other or self.recipe.initialize.encoder in (None, "none")
        wanted = "Pretrained weights need the normalisation they were trained with" + (
            "; this recipe trains from scratch." if scratch else ", so this is commented out:"
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
    ahead: Callable[[Dataset], Sequence[Path]] | None = None,
) -> Checked:
    """Check the data set in `path` as `recipe` would read it.

    Args:
        path: Folder of the data set.
        overrides: Overrides of the recipe, such as `data.exif=ignore`.
        recipe: Name of a recipe, or a recipe file; None reads the folder as a custom data set.
        fresh: Examine every file again instead of reusing cached examinations.
        observer: Receives the number of examined pairs.
        ahead: Examines pairs by other processes; see `audit`.

    Raises:
        DataError: D222, the folder holds no data set; other errors that opening it raises.
        RecipeError: The recipe or an override is invalid.
    """
    given = recipe or DEFAULT_RECIPE
    resolved = apply_overrides(find_recipe(given), overrides)
    dataset = open_dataset(resolved.data, path)
    found = audit(dataset, fresh=fresh, observer=observer, ahead=ahead)
    few = few_images(found, [resolved.data.train_split, resolved.evaluation.split], divided=dataset.divided)
    checked = Checked(
        path=path,
        dataset=dataset,
        audit=msgspec.structs.replace(found, findings=(*found.findings, *few)),
        given=given,
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
        samples = dataset.splits[split]
        ceiling = measure_ceiling(dataset, [s for s in samples if s.id not in unusable] if unusable else samples)
    return msgspec.structs.replace(checked, ceiling_split=split, ceiling=ceiling)


def few_images(found: Audit, splits: Sequence[str], *, divided: bool = False) -> list[Finding]:
    """W260 for splits with so few pairs that their scores, or what is learnt from them, are left to chance.

    Args:
        found: The audit of the data set. Pairs with errors count, because errors are mended before anything is trained.
        splits: Names of the splits to train and to score on.
        divided: Whether the data has no splits of its own, between which images could be moved.
    """
    few = {name: pairs for name in dict.fromkeys(splits) if 0 < (pairs := found.splits.get(name, 0)) < FEW_IMAGES}
    if not few:
        return []
    counts = " and ".join(f"{counted(pairs, 'image')} in {name}" for name, pairs in few.items())
    message = f"only {counts}: one image more or less changes the score by several points"
    help = "label more images"
    if splits[0] not in few and not divided:
        help = "move some of the training images there, or label more"
    meaning = f"with fewer than about {FEW_IMAGES} of them, small differences between the scores of runs mean nothing"
    return [finding("W260", message, [], f"{help}; {meaning}")]


def _with_files(number: int, what: str, findings: Sequence[Finding]) -> str:
    """`1 error (4 files)`, or `2 warnings` if they name no files."""
    files = sum(found.total for found in findings)
    text = counted(number, what)
    return f"{text} ({counted(files, 'file')})" if files else text


def _toml_line(value: Any) -> str:
    """A value in one line: what JSON writes is TOML too, except for pairs of escapes and raw control characters."""
    return harmless(json.dumps(value, ensure_ascii=False))
