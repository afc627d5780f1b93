"""`pixelwise report RUN`: the run as one HTML file."""

from __future__ import annotations

from pathlib import Path

import typer


def run(run: Path = typer.Argument(..., help="Run folder.")) -> None:
    """Write RUN/report.html again."""
    from pixelwise.reports.run.page import write_report

    print(write_report(run))
