"""`pixelwise.check`: whether a data set can be trained on, with a page and a recipe file on request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.datasets.auditing.checking import Checked, examined
from pixelwise.datasets.auditing.options import CheckOptions
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.reports.audit.page import write_check_page
from pixelwise.storage import write_text


def check(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    options: CheckOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Checked:
    """Look at every image and mask of a data set, and say what is wrong, in which files, and how to mend it.

    Nothing is written into the data's folder.

    Args:
        path: Folder of the data set.
        overrides: How to read the data, such as `data.exif=ignore`: changes of the recipe that it is checked against.
        options: See `CheckOptions`; single ones can be given by keyword.
        observer: Told how many images have been looked at.
        **changes: Fields of `CheckOptions`.

    Returns:
        What was found; `refused` says whether there are errors to fix before training.

    Raises:
        DataError: D222, there is no data set in the folder; what opening it raises.
        RecipeError: The recipe or an override is wrong.
        ResourceError: S601, the disk is full.
    """
    options = chosen(CheckOptions, options, changes)
    checked = examined(Path(path), overrides, recipe=options.recipe, fresh=options.fresh, observer=observer)
    if options.html is not None:
        write_check_page(checked, options.html)
    if options.write is not None:
        write_text(options.write, checked.data_file())
    return checked
