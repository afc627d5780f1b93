"""Begins a cross-validation: opens and examines all images once, divides them, and writes what each fold may see."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pixelwise.checkpoints.hub.addresses import is_address
from pixelwise.datasets.auditing.audit import Audit, audit, raise_for_errors
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.known_images import in_words, known_images
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.dividing import classes_in, id_in_groups, warn_of_divided_series
from pixelwise.datasets.preparing.folding import Fold, fold_samples, sample_groups
from pixelwise.datasets.run_data import is_own_data
from pixelwise.datasets.samples import ALL, Dataset, Sample
from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.observer import Observer
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.folds.cross_validation import CrossValidation, FoldRuns, write_cross_validation
from pixelwise.records.folds.division import HELD_OUT, Division, write_division
from pixelwise.records.run_folder import CHECKPOINTS, is_run, read_recipe
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import recorded
from pixelwise.training.distillation.kinds import teacher_path
from pixelwise.training.folds.options import CrossvalOptions
from pixelwise.training.stages import stage_recipe

_SELECTION = "selection"
_FIXES = {
    "D133": "remove all but one of them, with their masks, or keep them in one fold by a pattern that finds the same "
    "in their names (--group PATTERN)",
    "W134": "keep them in one fold by a pattern that finds the same in their names (--group PATTERN), or remove one of "
    "each pair",
}
"""Code of a finding about images in several splits -> what helps where these are folds."""


class Divided(NamedTuple):
    """A data set in folds.

    Attributes:
        whole: The data set with the split `all`.
        folds: The folds.
        left_out: Number of images that cannot be read, which `data.allow` accepts.
        groups: Number of groups of images, none of which is divided.
        series: Number of series that the names show and that are no groups.
    """

    whole: Dataset
    folds: list[Fold]
    left_out: int
    groups: int
    series: int


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
        groups=found.groups,
        series=found.series,
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
        RecipeError: R203, `group` is not a valid regular expression, or is found in no name of an image.
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
    folds = _folds_of(samples, classes, recipe, options)
    observer.phase("looking at the data")
    found = _examined(_by_folds(whole, samples, folds), observer)
    raise_for_errors(found, recipe.data.allow)
    findings = found.findings
    unusable = {id for ids in found.unusable.values() for id in ids}
    if unusable:
        # Divided anew without them, so that no fold is left with too few; what looks alike is in other folds then.
        samples = [sample for sample in samples if sample.id not in unusable]
        folds = _folds_of(samples, classes, recipe, options)
        findings = (*found.errors, *_examined(_by_folds(whole, samples, folds), observer).findings)
    for one in findings:
        observer.warn(one.code, one.with_fix)
    groups = sample_groups(samples, **_grouping(recipe, options))
    series = warn_of_divided_series(samples, groups.values(), options.group, observer)
    return Divided(whole, folds, len(unusable), len(set(groups.values())), series)


def _examined(by_folds: Dataset, observer: Observer) -> Audit:
    """What is found in the folds, with ways out for folds, which no folder on a disk stands for."""
    found = audit(by_folds, progress=observer.progress)
    findings = (msgspec.structs.replace(one, fix=_FIXES.get(one.code, one.fix)) for one in found.findings)
    return msgspec.structs.replace(found, findings=tuple(findings))


def _folds_of(
    samples: Sequence[Sample], classes: Mapping[str, Collection[int]], recipe: Recipe, options: CrossvalOptions
) -> list[Fold]:
    return fold_samples(samples, classes, seed=options.seed or 0, **_grouping(recipe, options))


def _grouping(recipe: Recipe, options: CrossvalOptions) -> dict[str, Any]:
    return {"folds": options.folds, "group": options.group, "selection": recipe.selection.every_epochs > 0}


def _by_folds(whole: Dataset, samples: Sequence[Sample], folds: Sequence[Fold]) -> Dataset:
    """The data set with a split for each fold, the images that it holds out."""
    of_id = {sample.id: sample for sample in samples}
    splits = {f"fold-{number}": tuple(of_id[id] for id in fold.held_out) for number, fold in enumerate(folds)}
    return msgspec.structs.replace(whole, splits=splits, divided=False)


def refuse_leaks(recipe: Recipe, data: Path | None) -> None:
    """Refuse weights and teachers that were trained on the images which are to be held out: they have seen them.

    The data is the same in the same folder or with the same content, which is all that is known of runs of the hub and
    of generated data; while the data of a run is still there, a single one of its images is enough. Weights of a whole
    network count as those of an encoder alone, and what a run began with or learned from counts as the run itself, as
    far as these runs are still where its recipe says.

    Args:
        recipe: The recipe with its overrides.
        data: Folder of the data set; None for generated data.

    Raises:
        RecipeError: R311, a run that the training begins with, or a teacher, was trained on this data.
        CheckpointError: K420, the run to begin with is not a run folder; of addresses, what `run_path` raises.
    """
    start = recipe.initialize.run
    if start is not None and not is_run(teacher_path(start)):
        read_recipe(teacher_path(start))  # its error says what is there instead
    dataset: Dataset | None = None
    for name, run in _known_runs(recipe):
        dataset = dataset or open_dataset(recipe.data, data)
        where = "the same generated images" if data is None else printable(data)
        if not is_own_data(run, dataset, dataset.root if data is None else data):
            known = known_images(run, dataset, ALL)
            if not known:
                continue
            where = in_words(known, len(dataset.with_all().splits[ALL])) + f" of {where}"
        through = "" if run == _run_of(name) else f", from which {printable(name)} has learned,"
        named = f"{printable(run)}{through}" if through else printable(name)
        raise RecipeError(
            "R311",
            f"{named} was trained on {where}, so its weights know the images that a fold holds out: the score would be "
            "too high",
            "leave it out, or name a run that was trained on other data",
        )


def _known_runs(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """The runs whose weights reach those of a recipe: the name in it through which they do, and the run folder."""
    waiting, seen = [(name, run) for name in _sources(recipe) if (run := _run_of(name)) is not None], set[Path]()
    while waiting:
        name, run = waiting.pop(0)
        if run.resolve() in seen:
            continue
        seen.add(run.resolve())
        yield name, run
        with contextlib.suppress(PixelwiseError):  # what can no longer be read tells nothing of its origin
            # Nothing is fetched for it.
            here = [source for source in _sources(read_recipe(run)) if not is_address(source)]
            waiting += [(name, other) for source in here if (other := _run_of(source)) is not None]


def _sources(recipe: Recipe) -> Iterator[str]:
    """What a recipe and its stages begin with and learn from, by name."""
    for one in (recipe, *(stage_recipe(recipe, stage) for stage in recipe.stages)):
        # The weights of a whole run take the place of those of an encoder.
        yield one.initialize.encoder if one.initialize.run is None else one.initialize.run
        yield from one.distillation.teachers


def _run_of(name: str) -> Path | None:
    """The run that a name leads to, or whose checkpoint it is; None for other weights."""
    path = teacher_path(name)
    above = [one.parent for one in (path, *path.parents) if one.name == CHECKPOINTS]
    return next(filter(is_run, (path, *above)), None)
