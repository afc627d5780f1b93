"""Options of `ui`; never imports torch."""

from __future__ import annotations

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
    """

    port: Annotated[int, Meta(ge=0, le=65535)] = PORT
    browser: bool = True
