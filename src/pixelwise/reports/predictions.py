"""What became of the images of a prediction, as lines for a terminal or as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

from pixelwise.prediction.predict import PredictSummary
from pixelwise.records.problems import PROBLEMS
from pixelwise.storage import json_text, printable


def show_summary(summary: PredictSummary, output: Path, *, as_json: bool = False) -> None:
    """Print how many images became masks, and where to read what was wrong with the others.

    Args:
        summary: What `pixelwise.predict` returned.
        output: The folder that was written to.
        as_json: Print JSON.
    """
    if as_json:
        sys.stdout.write(json_text(summary))
        return
    images = summary.ok + summary.failed
    speed = images / max(summary.seconds, 1e-9)
    sys.stdout.write(
        f"{images} images, {summary.ok} ok, {summary.failed} failed, {speed:.1f} img/s -> {printable(output)}\n"
    )
    if summary.failed:
        sys.stdout.write(f"the failed ones and why: {printable(output / PROBLEMS)}\n")
