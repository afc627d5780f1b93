"""Options of `ui`; never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options

PORT = 8765


class UiOptions(Options, frozen=True, kw_only=True):
    """Options of `ui`.

    Attributes:
        port: Port of this computer at which the pages are shown; 0 takes a free one. Through
            `ssh -L PORT:127.0.0.1:PORT` they can be seen from another one.
        browser: Open the first page in a browser.
        data: Folder of a data set whose images and masks are shown; may be repeated.
        edit: Let masks of the folders given with `data` be changed in the browser; the original of each is kept.
    """

    port: Annotated[int, Meta(ge=0, le=65535)] = PORT
    browser: bool = True
    data: Annotated[tuple[Path, ...], Meta(extra={"many": True, "metavar": "FOLDER"})] = ()
    edit: bool = False
