"""Whether an image that no run has kept may be predicted, as far as that can be told without PyTorch."""

from __future__ import annotations

from pathlib import Path

from pixelwise.datasets.format import needs_folder
from pixelwise.pages.catalog import Catalog, Entry, Refused
from pixelwise.records.environment import read_environment
from pixelwise.records.result import Result
from pixelwise.records.run_folder import has_checkpoints, is_run, read_recipe
from pixelwise.storage import printable


def require_predictable(catalog: Catalog, entry: Entry, result: Result) -> Path | None:
    """Refuse results whose images cannot be predicted again, or may not be shown.

    Args:
        catalog: The folders that may be read.
        entry: The result's place.
        result: The result.

    Returns:
        The folder of the data, if the result is of another one than the run's own; else None.

    Raises:
        Refused: Images of the result are not predicted.
        PixelwiseError: A file of the run is damaged.
    """
    if not is_run(entry.run):
        raise Refused("Further images are predicted for runs only, not for exported artefacts.")
    if result.variant:
        raise Refused("It was scored with other settings than the run's own.")
    if not has_checkpoints(entry.run):
        raise Refused("Its picture is not kept, and the run has no weights that could predict it.")
    return require_data(catalog, entry, result)


def require_data(catalog: Catalog, entry: Entry, result: Result) -> Path | None:
    """Refuse results of runs whose images may not be shown; arguments, result and errors as `require_predictable`."""
    folder = Path(result.data) if result.own_data is False else read_environment(entry.run).data_folder
    if needs_folder(read_recipe(entry.run).data.dataset) and (folder is None or not catalog.holds(folder)):
        where = "the folder of its data" if folder is None else printable(folder)
        raise Refused(f"Its picture is not kept. `pixelwise ui RUNS {where}` predicts it when you look at it.")
    return folder if result.own_data is False else None
