"""Options of `watch`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class WatchOptions(Options, frozen=True, kw_only=True):
    """Options of `watch`.

    Attributes:
        once: Write the page once instead of until the run ends.
        port: Also show the page at http://127.0.0.1:PORT on this computer, until Ctrl-C ends it; 0 takes a free port.
            Through `ssh -L PORT:127.0.0.1:PORT` it can be seen from another one.
    """

    once: bool = False
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
