"""Summary of a prediction, as lines for a terminal or as JSON."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.errors import DataError
from pixelwise.prediction.labelling.listing import QUEUE
from pixelwise.prediction.receipts.shares import Share
from pixelwise.prediction.receipts.summaries import PredictSummary
from pixelwise.prediction.shards.listing import TABLE
from pixelwise.records.problems import problems_name
from pixelwise.reports.numbers import pace
from pixelwise.reports.standard_output import write, write_json
from pixelwise.storage import printable
from pixelwise.storage.names import counted

if TYPE_CHECKING:
    from pixelwise.prediction.labelling.prelabel import PrelabelSummary

SHOWN = 3
"""Number of errors that are printed; all of them are in `problems.jsonl`."""


def show_summary(
    summary: PredictSummary, output: Path, share: Share | None = None, *, tars: bool = False, as_json: bool = False
) -> None:
    """Print how many images were predicted and where the failed ones are listed, or the summary as JSON.

    Args:
        summary: The summary.
        output: Folder or address of the output.
        share: The part of the images that was predicted; None for all of them.
        tars: Whether tars were written, once and for all.
        as_json: Print JSON.
    """
    if as_json:
        write_json(summary)
        return
    images = summary.ok + summary.failed
    predicted = images - summary.kept
    # Videos are counted by their frames, and how many of them are new is not known.
    speed = f", {pace(predicted / max(summary.seconds, 1e-9))} img/s" if predicted and not summary.videos else ""
    for problem in summary.problems[:SHOWN]:
        write(f"{DataError(problem.code, problem.message, problem.help)}\n")
    write(f"{_inputs(summary)}, {summary.ok} ok, {summary.failed} failed{speed} -> {printable(output)}\n")
    if summary.kept:
        again = "" if tars else "; `--again` predicts all of them"
        write(f"{summary.kept} of them predicted earlier and kept{again}\n")
    if tars and share is not None:
        write(f"what is done of all parts: {printable(output)}, whose last part lists it in {TABLE}\n")
    elif summary.failed:
        what = "all failed images" if summary.failed > SHOWN else "failed images"
        write(f"{what}, with reasons: {printable(output / problems_name(share.suffix if share is not None else ''))}\n")


def _inputs(summary: PredictSummary) -> str:
    """The inputs of a prediction in words; what failed counts as an image."""
    images = summary.ok + summary.failed - summary.videos
    if not summary.videos:
        return counted(images, "image")
    videos = f"{counted(summary.videos, 'video')} ({counted(summary.frames, 'frame')})"
    return f"{counted(images, 'image')} and {videos}" if images else videos


def show_prelabels(summary: PrelabelSummary, output: Path, sure: float, *, as_json: bool = False) -> None:
    """Print what was pre-labelled and how much of it is left open, or the summary as JSON.

    Args:
        summary: The summary.
        output: Folder of the output.
        sure: Probability from which on pixels were kept.
        as_json: Print JSON.
    """
    if as_json:
        write_json(summary)
        return
    show_summary(summary.predicted, output)
    if summary.corrected:
        write(f"{counted(summary.corrected, 'corrected mask')} left as they are\n")
    if summary.pixels:
        share = f"{100 * summary.open_share:.1f} % of the pixels left open"
        write(f"{share}: the probability of their class is below {sure:g}\n")
    if summary.queued:
        write(f"what to correct first: {printable(output / QUEUE)}\n")
        write(f"correct the masks in a browser with: pixelwise ui --data {shlex.quote(printable(output))} --edit\n")
