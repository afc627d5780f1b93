"""The end of a verb: score, show, write the report, say where everything is."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.runs import score_by_name
from pixelwise.records.run_folder import ENVIRONMENT, read_recipe
from pixelwise.reports.displays import display
from pixelwise.reports.run.page import write_report
from pixelwise.reports.run.terminal import print_result
from pixelwise.storage import printable


def conclude(run: Path) -> None:
    """Score a finished run under every protocol of its recipe, write the report, show the first table."""
    environment = msgspec.json.decode((run / ENVIRONMENT).read_bytes())
    device = environment["arguments"]["device"]
    protocols = list(read_recipe(run).evaluation.protocols)
    with display() as observer:
        results = score_by_name(run, protocols=protocols, options=EvaluateOptions(device=device), observer=observer)
    report = write_report(run)
    console = Console()
    for result in results:
        print_result(result, console)
    console.print(f"\nrun     {printable(run)}\nreport  {printable(report)}", markup=False, soft_wrap=True)
