"""Result of `crossval` on a terminal or as JSON."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from pixelwise.records.folds.cross_validation import MISTAKES
from pixelwise.records.folds.mistakes import TABLE
from pixelwise.records.folds.summary import JointScore, Summary
from pixelwise.records.run_folder import REPORT
from pixelwise.reports.numbers import percent
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.views import NOT_AVAILABLE

SHOWN = 5
"""Number of likely label mistakes that are printed."""


def print_folds(summary: Summary, *, as_json: bool) -> None:
    """Print the joint score, those of the folds and of the classes, and the likeliest label mistakes.

    Args:
        summary: What came out of a cross-validation.
        as_json: Print it as JSON instead.
    """
    if as_json:
        write_json(summary)
        return
    console = Console()
    for score in summary.scores:
        console.print(_table(score))
        console.print(in_words(score), markup=False)
    for remark in summary.remarks:
        console.print(remark, markup=False)
    folder = Path(summary.folder)
    if summary.regions:
        regions, images = counted(summary.regions, "region"), counted(summary.images_with_mistakes, "image")
        console.print(f"\n{regions} of {images} may be labelled wrong (W320); the likeliest:", markup=False)
        for one in summary.mistakes[:SHOWN]:
            console.print(f"{one.rank:3}. {one.message}", markup=False)
        console.print(f"all of them  {printable(folder / MISTAKES / TABLE)}", markup=False, soft_wrap=True)
    elif summary.regions == 0:
        console.print("no region contradicts its label", markup=False)
    console.print(f"\nreport  {printable(folder / REPORT)}", markup=False, soft_wrap=True)


def in_words(score: JointScore) -> str:
    """`mIoU 71.20 % [68.9, 73.1] over 60 images (native); folds 70.8 ± 2.1 % [68.2, 73.4]`."""
    text = f"mIoU {known(score.miou)} %{_interval(score.miou_interval)} over {counted(score.images, 'image')}, "
    text += f"each by the network that has not seen it ({score.protocol})"
    if score.mean is not None and score.std is not None:
        text += f"; folds {percent(score.mean)} ± {percent(score.std)} %, mean{_interval(score.interval)}"
    return text


def known(value: float | None) -> str:
    """A fraction in percent, or `n/a`."""
    return NOT_AVAILABLE if value is None else percent(value)


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{percent(interval[0])}, {percent(interval[1])}]"


def _table(score: JointScore) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("fold", "images", "mIoU %", "pixel accuracy %"):
        table.add_column(heading, justify="left" if heading == "fold" else "right")
    for fold in score.folds:
        table.add_row(fold.name, str(fold.images), known(fold.miou), known(fold.pixel_accuracy))
    table.add_row("all images", str(score.images), known(score.miou), known(score.pixel_accuracy))
    for one in score.per_class:
        table.add_row(f"  {printable(one.name)}", "", known(one.iou), "")
    return table
