"""Options of the verbs `table` and `models search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.options import Options

TableFormat = Literal["terminal", "md", "html", "csv", "json"]


class TableOptions(Options, frozen=True, kw_only=True):
    """How the published pages are written, and which results stand beside them.

    Attributes:
        format: How the pages are written; left out, what the output file ends in decides, else the terminal's format.
        results: A folder of results, a run folder, or a result file; left out, benchmarks/results is taken.
    """

    format: TableFormat | None = None
    results: Annotated[tuple[Path, ...], Meta(extra={"many": True})] = ()


class SearchOptions(Options, frozen=True, kw_only=True):
    """How the matches of a search are sorted, and which results count.

    Attributes:
        sort: The field to sort by; left out, the best mIoU comes first, then the fewest GMACs.
        results: A folder of results, a run folder, or a result file; left out, benchmarks/results is taken.
    """

    sort: str | None = None
    results: Annotated[tuple[Path, ...], Meta(extra={"many": True})] = ()
