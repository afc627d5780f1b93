"""`pixelwise.table`: the pages of published results, with the state of every row here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.published.pages import PAGES, find_page, read_page
from pixelwise.reports.tables.formats import format_of
from pixelwise.reports.zoo.rendering import render
from pixelwise.storage import write_text
from pixelwise.storage.stores.addresses import require_local
from pixelwise.zoo.options import TableOptions
from pixelwise.zoo.results import read_results, results_folders
from pixelwise.zoo.rows import ZooPage, read_zoo


def table(
    page: str | None = None,
    output: str | os.PathLike[str] | None = None,
    options: TableOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> list[ZooPage]:
    """The pages of published results, each row with what was counted and measured here.

    Args:
        page: Number or name of a page, such as `000`, `enet` or `modern`; None for all numbered pages.
        output: File to write the pages to; None to only return them.
        options: Format of the file and folders of results; None for the defaults.
        observer: Receives the number of networks counted so far.
        **changes: Single fields of `TableOptions`.

    Returns:
        The pages, with the state of every row: published only, architecture verified, trained here or reproduced.

    Raises:
        RecipeError: R209, there is no such page; R260, the format of `output` is not known; R294,
            `output` is an address.
        DataError: D240, a path of results holds none.
    """
    options = chosen(TableOptions, options, changes)
    file = None if output is None else Path(output)
    if file is not None:
        require_local(file)  # now, not after all networks were counted
    written = options.format or format_of(file)
    pages = [read_page(name) for name in ([find_page(page)] if page else PAGES)]
    found = read_results(results_folders(options.results))
    zoo = read_zoo(pages, found, observer=observer)
    if file is not None:
        write_text(file, render(zoo, written))
    return zoo
