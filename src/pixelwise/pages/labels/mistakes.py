"""Regions where a network is sure of another class than the labels of a data set say, from the results on it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.format import needs_folder
from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Catalog, Entry
from pixelwise.pages.labels.columns import Columns
from pixelwise.pages.labels.survey import Survey, is_generated
from pixelwise.records.environment import read_environment
from pixelwise.records.result import Result
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.records.suspects import Suspect, load_suspects


class Doubts(NamedTuple):
    """What a result doubts.

    Attributes:
        entry: Place of the result.
        result: The result.
        regions: Rows of images and the regions in them, the largest and surest first.
        trained_on: Whether its network was trained on these very images, so that it may have learnt their mistakes.
    """

    entry: Entry
    result: Result
    regions: list[tuple[int, Suspect]]
    trained_on: bool


def doubts_of(survey: Survey, columns: Columns, catalog: Catalog) -> list[Doubts]:
    """What the results on a data set doubt: networks that have not seen the images first, then by mIoU.

    Args:
        survey: The data set.
        columns: What is known of its images.
        catalog: The folders of runs.
    """
    found = []
    for entry in catalog.entries():
        # A damaged run says so on its own page.
        with contextlib.suppress(PixelwiseError, OSError):
            result = catalog.result(entry)
            if result is None or entry.evaluation is None or not _is_of(entry, result, survey):
                continue
            suspects = load_suspects(entry.evaluation) or ()
            rows = [(_row_of(columns, result.split, one.image), one) for one in suspects]
            regions = [(row, one) for row, one in rows if row is not None]
            regions.sort(key=lambda region: -region[1].pixels * region[1].confidence)
            found.append(Doubts(entry, result, regions, _trained_on(entry, result)))
    return sorted(found, key=lambda one: (one.trained_on, -one.result.miou))


def _row_of(columns: Columns, split: str, id: str) -> int | None:
    """The row of an image that was scored; None if it is gone.

    A split that joins others, such as `all` or what a fold of a cross-validation holds out, is none of the data set:
    its ids begin with the name of the image's own split where several splits have the same id.
    """
    if split in columns.splits:
        return columns.row_of(split, id)
    own, _, rest = id.partition("/")
    rows = [columns.row_of(own, rest), *(columns.row_of(one, id) for one in columns.splits)]
    return next((row for row in rows if row is not None), None)


def _is_of(entry: Entry, result: Result, survey: Survey) -> bool:
    recipe = read_recipe(entry.run) if is_run(entry.run) else None
    if is_generated(survey.path):
        return recipe is not None and recipe.data.dataset == str(survey.path) and result.own_data is not False
    folder = Path(result.data) if result.data else None
    if folder is None and recipe is not None and needs_folder(recipe.data.dataset) and result.own_data is not False:
        folder = read_environment(entry.run).data_folder
    return folder is not None and folder.resolve() == survey.path.resolve()


def _trained_on(entry: Entry, result: Result) -> bool:
    if not is_run(entry.run) or result.own_data is False:
        return False
    trained = set(read_recipe(entry.run).data.train_split.split("+"))
    return "all" in trained or result.split == "all" or bool(trained & set(result.split.split("+")))
