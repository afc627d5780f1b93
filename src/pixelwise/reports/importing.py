"""Report of a weights import, on the terminal or as JSON."""

from __future__ import annotations

import shlex
from pathlib import Path

from pixelwise.checkpoints.importers.importing import ImportReport
from pixelwise.reports.standard_output import write, write_json
from pixelwise.storage import printable


def show_import(report: ImportReport, output: Path, *, as_json: bool = False) -> None:
    """Print the report and the command that uses the imported weights."""
    if as_json:
        write_json(report)
        return
    use = f"pixelwise predict {shlex.quote(printable(output))} IMAGES"
    write(f"{report}\n{printable(output)}: written. Use it with: {use}\n")
