"""Begins a cross-validation: opens and examines all images once, divides them, and writes what each fold may see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.auditing.audit import audit, raise_for_errors
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.dividing import classes_in, id_in_groups
from pixelwise.datasets.preparing.folding import Fold, fold_samples
from pixelwise.datasets.run_data import is_own_data
from pixelwise.datasets.samples import ALL, Dataset
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.observer import Observer
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.folds.cross_validation import CrossValidation, FoldRuns, write_cross_validation
from pixelwise.records.folds.division import HELD_OUT, Division, write_division
from pixelwise.records.run_folder import is_run
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import recorded
from pixelwise.training.distillation.kinds import teacher_path
from pixelwise.training.folds.options import CrossvalOptions

_SELECTION = "selection"


class Divided(NamedTuple):
    """A data set in folds.

    Attributes:
        whole: The data set with the split `all`.
        folds: The folds.
        left_out: Number of images that cannot be read, which `data.allow` accepts.
    """

    whole: Dataset
    folds: list[Fold]
    left_out: int


def begin(base: Recipe, data: Path | None, output: Path, options: CrossvalOptions, observer: Observer) -> None:
    """Divide the images and write `division.json` of every fold, and `crossval.json` last.

    Args:
        base: The recipe before its overrides.
        data: Folder of the data set; None for generated data.
        output: Folder of the cross-validation.
        options: What was asked for.
        observer: Receives phases, progress and the warnings of the audit, whose splits are the folds: images that look
            alike in different folds are found there.

    Raises:
        DataError: The data is faulty; D221, there are too few groups of images.
        RecipeError: R311, the training would begin with, or learn from, a network that was trained on these images.
        ResourceError: S601, the disk is full.
    """
    recipe = apply_overrides(base, options.all_overrides())
    refuse_leaks(recipe, data)
    found = divide(recipe, data, options, observer)
    asked = CrossValidation(
        name=base.name,
        recipe=to_toml(base),
        options=options.recorded(),
        data=None if data is None else os.fspath(recorded(data)),
        folds=len(found.folds),
        images=sum(len(fold.held_out) for fold in found.folds),
        left_out=found.left_out,
        fingerprint=fingerprint(found.whole, [ALL]),
    )
    runs = FoldRuns(output, asked)
    for folder, fold in zip(runs.folders, found.folds, strict=True):
        learned = {recipe.data.train_split: fold.train}
        if fold.selection:
            learned[_selection_split(recipe)] = fold.selection
        write_division(folder, Division(learned=learned, held_out=fold.held_out))
    write_cross_validation(output, asked)


def fold_overrides(recipe: Recipe) -> tuple[str, ...]:
    """Changes to the recipe that every fold has: its result is scored on what it holds out.

    Args:
        recipe: The recipe with the overrides that were asked for.
    """
    return (f'evaluation.split="{HELD_OUT}"', f'selection.split="{_selection_split(recipe)}"')


def _selection_split(recipe: Recipe) -> str:
    """Name of the part of the other folds by which weights are chosen."""
    same = recipe.selection.split in (recipe.data.train_split, HELD_OUT)
    return _SELECTION if same else recipe.selection.split


def divide(recipe: Recipe, data: Path | None, options: CrossvalOptions, observer: Observer) -> Divided:
    """Open and examine all labelled images of a data set, and divide them into folds.

    Args:
        recipe: The recipe with its overrides.
        data: Folder of the data set; None for generated data.
        options: Number of folds, groups and seed.
        observer: Receives phases, progress and warnings.

    Raises:
        DataError: As `begin`.
        RecipeError: R203, `group` is not a valid regular expression.
    """
    observer.phase("opening the data")
    whole = open_dataset(recipe.data, data).with_all()
    samples = [sample for sample in whole.splits.get(ALL, ()) if sample.is_labelled]
    if not samples:
        raise DataError(
            "D221", f"{printable(whole.root)}: no image has labels", "`pixelwise check` lists what was found"
        )
    named = classes_in(whole, samples, observer)
    classes = {sample.id: named[id_in_groups(sample)] for sample in samples}
    folds = fold_samples(
        samples,
        classes,
        folds=options.folds,
        group=options.group,
        seed=options.seed or 0,
        selection=recipe.selection.every_epochs > 0,
    )
    of_id = {sample.id: sample for sample in samples}
    splits = {f"fold-{number}": tuple(of_id[id] for id in fold.held_out) for number, fold in enumerate(folds)}
    observer.phase("looking at the data")
    found = audit(msgspec.structs.replace(whole, splits=splits), progress=observer.progress)
    raise_for_errors(found, recipe.data.allow)
    for one in found.findings:
        observer.warn(one.code, one.message)
    unusable = {id for ids in found.unusable.values() for id in ids}
    return Divided(whole, [_without(fold, unusable) for fold in folds], len(unusable))


def _without(fold: Fold, unusable: set[str]) -> Fold:
    return Fold(*(tuple(id for id in ids if id not in unusable) for ids in fold))


def refuse_leaks(recipe: Recipe, data: Path | None) -> None:
    """Refuse weights and teachers that were trained on the images which are to be held out: they have seen them.

    The data is the same in the same folder or with the same content, which is all that is known of runs of the hub.

    Raises:
        RecipeError: R311, a run that the training begins with, or a teacher, was trained on this data.
        CheckpointError: K420, such a run is not a run folder; of addresses, what `run_path` raises.
    """
    start = [recipe.initialize.run] if recipe.initialize.run is not None else []
    for name in (*start, *recipe.distillation.teachers):
        run = teacher_path(name)
        if not is_run(run):
            if name in start:
                raise CheckpointError(
                    "K420", f"{printable(run)} is not a run folder", "name the folder that `pixelwise train` created"
                )
            continue
        if data is not None and is_own_data(run, open_dataset(recipe.data, data), data):
            raise RecipeError(
                "R311",
                f"{printable(name)} was trained on {printable(data)}, so its weights know the images that a fold holds "
                "out: the score would be too high",
                "leave it out, or name a run that was trained on other data",
            )
