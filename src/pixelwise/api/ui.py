"""`pixelwise.ui`: the pages of runs and data in a browser of this computer."""

from __future__ import annotations

import os
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.pages.options import UiOptions
from pixelwise.runtimes.packages import require
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of

FOLDER = "runs"
"""Folder whose runs are shown if none is named."""


def ui(
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    options: UiOptions | None = None,
    *,
    observer: Observer = SILENT,
    ready: Callable[[str], None] | None = None,
    **changes: Any,
) -> None:
    """Show runs and data in a browser, until Ctrl-C: a leaderboard, each run, two runs compared; images with labels.

    Nothing is written, except masks of `data` that are changed in the browser with `edit=True`. The pages are at an
    address of this computer that contains a token, and show nothing outside the folders.

    Args:
        folders: Folders of runs, and of the data they were scored on, which pictures of further images are made from.
            None: the folder `runs`, or no runs if there is none but `data` is given.
        options: Options; None for the defaults.
        observer: Receives a phase that names the address.
        ready: Receives the address, too, when browsers can connect; None opens a browser unless `browser` is False.
        changes: Single fields of `UiOptions`, such as `port=8000`.

    Raises:
        DataError: D222, a folder does not exist, or one of `data` is neither a folder nor an address.
        RecipeError: R240, a package of `pixelwise[ui]` is not installed; R260, the port is out of range, or `edit`
            is set without `data`.
        ResourceError: S609, the port cannot be used.
    """
    wanted = chosen(UiOptions, options, changes)
    if folders is None:
        folders = [] if wanted.data and not Path(FOLDER).is_dir() else FOLDER
    named = [folders] if isinstance(folders, (str, os.PathLike)) else folders
    paths, data = [Path(folder) for folder in named], [place_of(one) for one in wanted.data]
    for path in paths:
        if not path.is_dir():
            raise DataError(
                "D222", f"{printable(path)} is not a folder", "name a folder of runs, such as the one that holds RUN"
            )
    if wanted.edit and not wanted.data:
        raise RecipeError(
            "R260", "`edit` is set without `data`", "name the data set whose masks are edited with `data`"
        )
    for package in ("starlette", "uvicorn"):
        require(package, "showing pages in a browser", "pixelwise[ui]")
    from pixelwise.pages.labels.survey import require_data
    from pixelwise.pages.serving import serve

    for path in data:
        require_data(path)

    def told(address: str) -> None:
        observer.phase(f"showing {', '.join(map(printable, [*paths, *data]))} at {address} (Ctrl-C ends it)")
        if ready is not None:
            ready(address)
        elif wanted.browser:
            # In a thread, because a browser within the terminal returns when it is closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(paths, wanted.port, told, data, wanted.edit)
