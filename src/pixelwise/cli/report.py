"""`pixelwise report RUN`: write a run's report as one HTML file."""

from __future__ import annotations

from pathlib import Path

import typer

EXAMPLES = ("pixelwise report runs/unet-1",)
"""Shown at the end of the help."""


def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder, that of `train --seeds`, or hub://OWNER/NAME."),
    json: bool = typer.Option(False, "--json", help="Print the path of the report as JSON."),
) -> None:
    """Write RUN/report.html from the files in the run folder."""
    import pixelwise
    from pixelwise.reports.run.terminal import print_page

    print_page(pixelwise.write_report(run), as_json=json)
