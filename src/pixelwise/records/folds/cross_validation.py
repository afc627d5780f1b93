"""`crossval.json` of a cross-validation: what was asked for and what was divided; each fold is a run in a folder below.

OUT/crossval.json          written when all folds are divided: its presence means that it has begun
OUT/fold-0/, fold-1/, ...  runs, each with `division.json`
OUT/out-of-fold/           predictions of every image by the network that has not seen it
OUT/label-mistakes/        regions whose labels these networks agree against
OUT/summary.json           the joint score and those of the folds
OUT/report.html
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.recipes.overrides import from_plain
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records import json_files
from pixelwise.records.evaluations import find_result
from pixelwise.records.folds.division import DIVISION
from pixelwise.records.log import read_log
from pixelwise.records.result import Result
from pixelwise.records.run_folder import CROSSVAL, is_run, read_recipe
from pixelwise.records.standing import has_finished
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import parse_toml

SUMMARY = "summary.json"
OUT_OF_FOLD = "out-of-fold"
MISTAKES = "label-mistakes"


class CrossValidation(msgspec.Struct, frozen=True, kw_only=True):
    """What a cross-validation was asked for.

    Attributes:
        name: Name of the recipe.
        recipe: The recipe before its overrides, as TOML.
        options: The options, by their names.
        data: Folder of the data set; None for generated data.
        folds: Number of folds.
        images: Number of images, each of which is held out once.
        left_out: Number of images that cannot be read and that `data.allow` leaves out.
        groups: Number of groups of images, none of which is divided between folds; 0 where it was not noted.
        series: Number of series that the names of the images show, but that are divided between folds.
        fingerprint: Fingerprint of all images and masks.
    """

    name: str = ""
    recipe: str = ""
    options: dict[str, Any] = {}
    data: str | None = None
    folds: int = 0
    images: int = 0
    left_out: int = 0
    groups: int = 0
    series: int = 0
    fingerprint: str = ""

    def base(self, folder: Path) -> Recipe:
        """The recipe before its overrides.

        Args:
            folder: Folder of the cross-validation, for errors.

        Raises:
            RecipeError: R202, R203 and others, it is not valid in this version.
            DataError: D150, it is damaged.
        """
        where = folder / CROSSVAL
        return from_plain(parse_toml(self.recipe, where), printable(where))


class FoldRuns:
    """The runs of a cross-validation.

    Args:
        folder: Its folder.
        asked: The content of its `crossval.json`.

    Attributes:
        names: Names of the folds.
    """

    def __init__(self, folder: Path, asked: CrossValidation) -> None:
        self._folder = folder
        self.names = [f"fold-{number}" for number in range(asked.folds)]

    def folder(self, fold: str) -> Path:
        """The run folder of a fold."""
        return self._folder / fold

    @property
    def folders(self) -> list[Path]:
        """The run folders in the order of the folds."""
        return [self.folder(fold) for fold in self.names]

    def is_finished(self, fold: str) -> bool:
        """Whether the training of a fold has come to its end."""
        run = self.folder(fold)
        return is_run(run) and has_finished(read_log(run))

    def results(self, fold: str) -> list[Result] | None:
        """The score of a fold on the images that it holds out, under each protocol; None as long as one is missing."""
        run = self.folder(fold)
        if not self.is_finished(fold):
            return None
        evaluation = read_recipe(run).evaluation
        found = [find_result(run, evaluation.split, protocol) for protocol in evaluation.protocols]
        return None if None in found else [one for one in found if one is not None]


def is_cross_validation(folder: Path) -> bool:
    """Whether a folder holds a cross-validation that has begun."""
    return (folder / CROSSVAL).is_file()


def forget_unbegun(folder: Path) -> None:
    """Remove `crossval.json` and the divisions, unless the training of a fold has begun."""
    folders = FoldRuns(folder, read_cross_validation(folder)).folders
    if any(map(is_run, folders)):
        return
    (folder / CROSSVAL).unlink()
    for run in folders:
        (run / DIVISION).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty
            run.rmdir()


def read_cross_validation(folder: Path) -> CrossValidation:
    """The content of `crossval.json`.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    found = json_files.read_json(folder / CROSSVAL, CrossValidation)
    if found.folds < 2 or not found.recipe:
        where = printable(folder / CROSSVAL)
        raise CheckpointError("K423", f"{where} is damaged: it names no folds", "restore it, or begin again")
    return found


def write_cross_validation(folder: Path, asked: CrossValidation) -> None:
    """Write `crossval.json`, last of what a cross-validation begins with.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(folder / CROSSVAL, json_text(asked))
