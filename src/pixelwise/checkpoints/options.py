"""Options of the verb `import-weights`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options

_SOURCES = "pixelwise.checkpoints.importers.conversions:sources"


class ImportOptions(Options, frozen=True, kw_only=True):
    """What is known of a file of weights.

    Attributes:
        source: The system that wrote the weights.
        licence: Licence of the weights; left out, what the recipe's published row says of them.
    """

    source: Annotated[str, Meta(extra={"names": _SOURCES})]
    licence: str | None = None
