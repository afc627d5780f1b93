"""Options of `pixelwise.check`, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

from pixelwise.options import Options


class CheckOptions(Options, frozen=True, kw_only=True):
    """Options of `pixelwise.check`.

    Attributes:
        recipe: Name of a recipe, or a recipe file, whose classes and splits the data is checked against. Without it,
            the folder is read as a custom data set.
        fresh: Examine every file again, even those that have not changed since the last check.
        html: HTML file to write a page with overlays to; the page works offline.
        write: Recipe file (.toml) to write for this data: classes, colours, splits, normalisation.
    """

    recipe: str | None = None
    fresh: bool = False
    html: Path | None = None
    write: Path | None = None
