"""`pixelwise.check`: audit of a data set before training, on request with a page and a recipe file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.datasets.auditing.checking import Checked, examined
from pixelwise.datasets.auditing.options import CheckOptions
from pixelwise.errors import RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.overrides import Overrides, words_of
from pixelwise.reports.audit.page import write_check_page
from pixelwise.storage import printable, write_text


def check(
    path: str | os.PathLike[str],
    overrides: Overrides = (),
    options: CheckOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Checked:
    """Examine every image and mask of a data set, and report what is wrong, in which files, and how to fix it.

    Nothing is written into the folder of the data set.

    Args:
        path: Folder of the data set.
        overrides: Changes to the recipe that the data is checked against, such as `data.exif=ignore`.
        options: Options of the check; None for the defaults.
        observer: Receives the number of images examined so far.
        **changes: Single fields of `CheckOptions`.

    Returns:
        The findings; `refused` says whether there are errors to fix before training.

    Raises:
        DataError: D222, there is no data set in the folder; others, it cannot be opened.
        RecipeError: The recipe or an override is wrong; R205, `write` is the recipe file itself.
        ResourceError: S601, the disk is full.
    """
    options = chosen(CheckOptions, options, changes)
    base = options.recipe and Path(options.recipe).resolve()
    if options.write is not None and options.write.resolve() == base:
        raise RecipeError(
            "R205",
            f"`write` is {printable(options.write)}, the recipe file that the data is checked against; the new file "
            "would be its own base",
            "choose another file for `write`",
        )
    checked = examined(Path(path), words_of(overrides), recipe=options.recipe, fresh=options.fresh, observer=observer)
    if options.html is not None:
        write_check_page(checked, options.html)
    if options.write is not None:
        write_text(options.write, checked.data_file())
    return checked
