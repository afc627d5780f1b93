"""Summary of a prediction, as lines for a terminal or as JSON."""

from __future__ import annotations

from pathlib import Path

from pixelwise.prediction.predict import PredictSummary
from pixelwise.records.problems import PROBLEMS
from pixelwise.reports.standard_output import write, write_json
from pixelwise.storage import printable


def show_summary(summary: PredictSummary, output: Path, *, as_json: bool = False) -> None:
    """Print how many images were predicted and where the failed ones are listed, or the summary as JSON."""
    if as_json:
        write_json(summary)
        return
    images = summary.ok + summary.failed
    speed = images / max(summary.seconds, 1e-9)
    write(f"{images} images, {summary.ok} ok, {summary.failed} failed, {speed:.1f} img/s -> {printable(output)}\n")
    if summary.failed:
        write(f"failed images, with reasons: {printable(output / PROBLEMS)}\n")
