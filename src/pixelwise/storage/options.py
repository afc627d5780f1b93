"""Options of `pixelwise.cache` and of the verb `pixelwise data cache`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class CacheOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.cache`.

    Attributes:
        clear: Remove what can be computed again and no process uses.
        kinds: Look at one kind only, entry by entry; may be repeated. Kinds that cannot be computed again are removed
            only where they are named here.
    """

    clear: bool = False
    kinds: Annotated[tuple[str, ...], Meta(extra={"flag": "--kind", "many": True})] = ()
