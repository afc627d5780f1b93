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
        data: Data sets to show with their labels: folders, addresses, or `town`. May be given several times.
        port: Port of this computer at which the pages are shown; 0 takes a free one. Through
            `ssh -L PORT:127.0.0.1:PORT` they can be seen from another one.
        browser: Open the first page in a browser.
        edit: Let the masks of the folders given with `data` be changed in the browser; the original of each is kept.
    """

    data: Annotated[tuple[Path, ...], Meta(extra={"many": True})] = ()
    port: Annotated[int, Meta(ge=0, le=65535)] = PORT
    browser: bool = True
    edit: bool = False
