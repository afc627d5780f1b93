"""Report of a weights import, on the terminal or as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

from pixelwise.checkpoints.importers.importing import ImportReport
from pixelwise.storage import json_text


def show_import(report: ImportReport, output: Path, *, as_json: bool = False) -> None:
    """Print the report and the command that uses the imported weights."""
    if as_json:
        sys.stdout.write(json_text(report))
        return
    sys.stdout.write(f"{report}\n{output}: written. Use it with: pixelwise predict {output} IMAGES\n")
