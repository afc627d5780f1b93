"""Options of `pixelwise.check` and of the verb of its name."""

from __future__ import annotations

from pathlib import Path

from pixelwise.options import Options


class CheckOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.check`.

    Attributes:
        recipe: Name of a recipe, or a recipe file: the data is checked against its classes and splits. Without it the
            data is read as somebody's own.
        fresh: Look at every file again, also at those that have not changed since they were looked at.
        html: File that a page with overlays is written to; the page needs no network.
        write: Recipe file (.toml) to write for this data: classes, colours, splits, normalisation.
    """

    recipe: str | None = None
    fresh: bool = False
    html: Path | None = None
    write: Path | None = None
