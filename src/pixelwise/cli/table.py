"""`pixelwise table [PAGE]`: the published pages with what holds here beside every row."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.cli.options import takes
from pixelwise.zoo.options import TableOptions


@takes(TableOptions)
def run(
    page: str = typer.Argument(
        None, help="000 .. 004, or a name such as enet, fcn, pspnet, edgeai; all when left out."
    ),
    output: Path = typer.Option(None, "--output", "-o", help="Write to this file instead of printing."),
    *,
    options: TableOptions,
    json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Print the published pages, each row beside what was counted and measured here.

    A row is published only, architecture verified, trained here or reproduced; the legend says what that means.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.zoo.rendering import show_table

    if json:
        options = msgspec.structs.replace(options, format="json")
    with display() as observer:
        pages = pixelwise.table(page, output, options, observer=observer)
    show_table(pages, output, options.format)
