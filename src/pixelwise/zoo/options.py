"""Options of the verbs `table` and `models search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options, TableFormat


class TableOptions(Options, frozen=True, kw_only=True):
    """Output format of the published pages, and the results shown beside them.

    Attributes:
        format: Output format; by default that of the output file's extension, or `terminal` without a file.
        results: A folder of results, a run folder or a result file; by default benchmarks/results.
    """

    format: TableFormat | None = None
    results: Annotated[tuple[Path, ...], Meta(extra={"many": True})] = ()


class SearchOptions(Options, frozen=True, kw_only=True):
    """Sort order of the matches of a search, and the results they are searched by.

    Attributes:
        sort: Field to sort by; by default the best mIoU comes first, then the fewest GMACs.
        results: A folder of results, a run folder or a result file; by default benchmarks/results.
    """

    sort: str | None = None
    results: Annotated[tuple[Path, ...], Meta(extra={"many": True})] = ()
