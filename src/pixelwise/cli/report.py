"""`pixelwise report RUN`: write a run's report as one HTML file."""

from __future__ import annotations

from pathlib import Path

import typer


def run(run: Path = typer.Argument(..., help="Run folder.")) -> None:
    """Write RUN/report.html from the files in the run folder."""
    import pixelwise
    from pixelwise.reports.run.terminal import print_standing
    from pixelwise.storage import printable

    print(printable(pixelwise.write_report(run)))
    print_standing(run)
