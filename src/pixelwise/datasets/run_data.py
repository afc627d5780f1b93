"""Opens the data set of a run, without the pairs that training left out, or other data by its own names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.classes.agreement import for_network
from pixelwise.datasets.classes.others import CLASS_FIELDS, without_classes
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.opening import open_by_names, open_dataset
from pixelwise.datasets.samples import ALL, Dataset
from pixelwise.errors import CheckpointError
from pixelwise.observer import Warn
from pixelwise.recipes.overrides import apply_overrides, field_of
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import read_environment
from pixelwise.records.folds.division import division_of
from pixelwise.records.run_folder import naming_missing_packages
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import place_of, recorded


def open_run_data(
    run: Path,
    recipe: Recipe,
    data: str | os.PathLike[str] | None = None,
    warn: Warn | None = None,
    *,
    overrides: Sequence[str] = (),
) -> Dataset:
    """Open the data set that a run was trained on, or the one in another folder.

    Pairs that training left out because `data.allow` accepts their errors cannot be read, so they are left out here,
    too; nothing is left out of another folder. Classes that another folder names are matched by name with those of the
    run, as `pixelwise.datasets.opening.open_by_names` explains.

    Args:
        run: The run folder, or one of imported weights.
        recipe: The recipe of the run.
        data: Another folder to read the data set from; None: the one the run was trained on.
        warn: Receives a warning (W410 to W412) if the classes had to be matched.
        overrides: Changes to how the data is read, such as `data.mask_resize=nearest`.

    Raises:
        DataError: D222 and others, the data set cannot be opened, or its folder is not known.
        CheckpointError: K406 or K408, the classes of another folder are not those of the run; K423, a file of the run
            folder is damaged; K431, its own folder no longer has the images that a cross-validation divided.
        RecipeError: R201 to R203, an override cannot be used; R273, packages of its plug-ins are not installed here.
    """
    facts = read_data_facts(run)
    with naming_missing_packages(run):
        folder = place_of(data) if data is not None else read_environment(run).data_folder
        dataset = None
        if _is_own_folder(run, data) and recipe.data.classes is not None and not _naming(overrides):
            dataset = open_dataset(apply_overrides(recipe, overrides).data, folder)
            # Runs of earlier versions do not record what their data said; it is trusted to say the same.
            dataset = dataset if facts.naming in (None, dataset.naming) else None
        if dataset is None:
            dataset = open_for(recipe, folder, facts.naming, warn, overrides=overrides)
    if _is_own_folder(run, data) or (division_of(run) is not None and is_own_data(run, dataset, data)):
        dataset = divided_for(dataset, run)
    return dataset.without(facts.unusable) if data is None else dataset


def divided_for(dataset: Dataset, run: Path | None, *, training: bool = False) -> Dataset:
    """The data set with the splits of a run, which are its own unless the run is part of a cross-validation.

    Args:
        dataset: The opened data set.
        run: The run folder; None for no run.
        training: Whether the images that the run holds out are left out altogether, as its training has to.

    Raises:
        CheckpointError: K423, the run's `division.json` is damaged; K431, it names images that are not there.
    """
    division = division_of(run)
    if division is None:
        return dataset
    whole = dataset.with_all()
    samples = {sample.id: sample for sample in whole.splits[ALL]}
    splits = division.learned if training else division.splits
    missing = [id for ids in splits.values() for id in ids if id not in samples]
    if missing:
        raise CheckpointError(
            "K431",
            f"{counted(len(missing), 'image')} of {printable(run or Path())} is not in {printable(dataset.root)}, for "
            f"example {printable(missing[0])}; the data is not what was divided",
            "restore the data, or begin a new cross-validation",
        )
    return msgspec.structs.replace(
        dataset, splits={name: tuple(samples[id] for id in ids) for name, ids in splits.items()}, divided=False
    )


def open_for(
    recipe: Recipe,
    folder: Path | None,
    naming: str | None = None,
    warn: Warn | None = None,
    *,
    overrides: Sequence[str] = (),
) -> Dataset:
    """Open data for the network of a recipe.

    Args:
        recipe: The recipe that the network was trained with, with its classes unless the data set's name implies them.
        folder: Folder of the data set; None for a format that can generate data.
        naming: `Dataset.naming` of the network's own data; None if it is not recorded.
        warn: Receives a warning (W410 to W412) if the classes had to be matched.
        overrides: Changes to how the data is read. Those that give the classes or their values replace what the data
            says of itself; values alone map to the class ids of the network.

    Raises:
        As `pixelwise.datasets.opening.open_by_names`; RecipeError: R201 to R203, an override cannot be used.
    """
    names = recipe.data.class_names()
    data = apply_overrides(recipe, overrides).data
    if names is None:
        return open_dataset(data, folder)
    told = _naming(overrides)
    if told:
        bare = apply_overrides(msgspec.structs.replace(recipe, data=without_classes(recipe.data)), overrides).data
        # Values that are given without names are those of the network's classes.
        data = msgspec.structs.replace(bare, classes=names) if "data.classes" not in told else bare
        dataset = for_network(open_dataset(data, folder), names, recipe.data.palette)
    else:
        dataset = open_by_names(data, folder, names, naming)
    for remark in dataset.remarks if warn is not None else ():
        warn(remark.code, remark.message)  # type: ignore[misc]
    return dataset


def is_own_data(run: Path, dataset: Dataset, data: str | os.PathLike[str] | None) -> bool | None:
    """Whether a data set is the one that a run was trained on: in the same folder, or with the same content.

    For a run of a cross-validation, that is all of its images, also those that it holds out.

    Args:
        run: The run folder, or one of imported weights.
        dataset: The opened data set, with its own splits or with those of the run.
        data: The folder that was named; None: the run's own.

    Returns:
        None if it is not recorded what the run was trained on.
    """
    facts = read_data_facts(run)
    if _is_own_folder(run, data) and (data is None or facts.fingerprint):
        return True
    if not facts.fingerprint:
        return None
    division = division_of(run)
    if division is not None:
        labelled = {sample.id for sample in dataset.with_all().splits.get(ALL, ()) if sample.is_labelled}
        if labelled != {id for ids in division.splits.values() for id in ids}:
            return False
        dataset = divided_for(dataset, run)
    same_number = all(len(dataset.splits.get(split, ())) == number for split, number in facts.images.items())
    return same_number and fingerprint(dataset, facts.splits) == facts.fingerprint


def _is_own_folder(run: Path, data: str | os.PathLike[str] | None) -> bool:
    own = read_environment(run).data_folder
    return data is None or (own is not None and recorded(place_of(data)) == recorded(own))


def _naming(overrides: Sequence[str]) -> set[str]:
    """The fields that overrides set and that give classes or their values."""
    fields = {field_of(override) for override in overrides}
    return {
        f"data.{name}"
        for name in CLASS_FIELDS
        if f"data.{name}" in fields or any(field.startswith(f"data.{name}.") for field in fields)
    }


def knows_its_data(run: Path, recipe: Recipe) -> bool:
    """Whether the data of a run is known: the folder it was trained on, or generated data, which needs none."""
    return not needs_folder(recipe.data.dataset) or read_environment(run).data_folder is not None
