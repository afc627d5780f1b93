"""`pixelwise table [PAGE]`: the published pages, each row beside what was counted and measured here."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.cli.line.options import takes
from pixelwise.zoo.options import TableOptions

EXAMPLES = (
    "pixelwise table enet",
    "pixelwise table -o tables.html",
)
"""Shown at the end of the help."""


@takes(TableOptions)
def run(
    page: str = typer.Argument(
        None,
        metavar="[PAGE]",
        help="Page number 000 to 004, or a name such as enet, fcn, pspnet, edgeai or modern; default: 000 to 004.",
    ),
    output: Path = typer.Option(None, "--output", "-o", metavar="FILE", help="File to write instead of printing."),
    *,
    options: TableOptions,
    json: bool = typer.Option(False, "--json", help="Same as --format json."),
) -> None:
    """Print the published pages, each row beside what was counted and measured here.

    Each row is "published only", "architecture verified", "trained here" or "reproduced"; the legend explains these.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.zoo.rendering import show_table

    if json:
        options = msgspec.structs.replace(options, format="json")
    with display() as observer:
        pages = pixelwise.table(page, output, options, observer=observer)
    show_table(pages, output, options.format)
