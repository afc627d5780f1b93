"""Opens the data set of a run, without the pairs that training left out."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import naming_missing_packages


def open_run_data(run: Path, recipe: Recipe, data: str | os.PathLike[str] | None = None) -> Dataset:
    """Open the data set that a run was trained on, or the one in another folder.

    Pairs that training left out because `data.allow` accepts their errors cannot be read, so they are left out here,
    too; nothing is left out of another folder.

    Args:
        run: The run folder, or one of imported weights.
        recipe: The recipe of the run.
        data: Another folder to read the data set from; None: the one the run was trained on.

    Raises:
        DataError: D222 and others, the data set cannot be opened, or its folder is not known.
        CheckpointError: K423, a file of the run folder is damaged.
        RecipeError: R273, packages of its plug-ins are not installed here.
    """
    with naming_missing_packages(run):
        if data is not None:
            return open_dataset(recipe.data, Path(data))
        dataset = open_dataset(recipe.data, read_environment(run).data_folder)
    return dataset.without(read_data_facts(run).unusable)


def knows_its_data(run: Path, recipe: Recipe) -> bool:
    """Whether the data of a run is known: the folder it was trained on, or generated data, which needs none."""
    return not needs_folder(recipe.data.dataset) or read_environment(run).data_folder is not None
