"""Options of `import-weights`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options

_SOURCES = "pixelwise.checkpoints.importers.conversions:sources"


class ImportOptions(Options, frozen=True, kw_only=True):
    """Source and licence of a weights file.

    Attributes:
        source: The system that wrote the weights.
        licence: Licence of the weights; by default the one stated in the recipe's published row, or `unknown`.
    """

    source: Annotated[str, Meta(extra={"names": _SOURCES})]
    licence: str | None = None
