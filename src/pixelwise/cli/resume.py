"""`pixelwise resume RUN`: continue a stopped run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_resuming
from pixelwise.cli.line import completion
from pixelwise.cli.line.together import DEVICES, NODES, RENDEZVOUS, RESTARTS, Together, run_together
from pixelwise.cli.line.words import with_data
from pixelwise.cli.options import takes
from pixelwise.machine.launched import is_first
from pixelwise.training.options import ResumeOptions

EXAMPLES = (
    "pixelwise resume runs/unet-1",
    "pixelwise resume runs/unet-1 --epochs 200  # train it for longer",
    "pixelwise resume runs/unet-1 moved/photos --workers 4",
)
"""Shown at the end of the help."""


@takes(ResumeOptions)
def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder."),
    words: list[str] = typer.Argument(
        None,
        metavar="[DATA] [FIELD=VALUE]...",
        autocompletion=completion.data_words,
        help="Folder of the data set, if it was moved; changes of length or use of the machine, such as patience=10.",
    ),
    devices: int = DEVICES,
    nodes: str = NODES,
    rendezvous: str = RENDEZVOUS,
    restarts: int = RESTARTS,
    *,
    options: ResumeOptions,
) -> None:
    """Continue a stopped or killed run; if it has stages, with the unfinished one.

    On the CPU in float32, the result is bit for bit that of a run that was never interrupted. With another length
    it usually is not that of any uninterrupted run, because the learning rate depends on the length; this is said, and
    recorded in the run.
    """
    asked = with_data(words, options.data)
    options = msgspec.structs.replace(options, data=asked.data, overrides=asked.settings)
    together = Together(devices, nodes, rendezvous, restarts)
    check_resuming(run, asked.data, options)
    if together.wanted:
        raise typer.Exit(run_together(together, run))
    go_on(run, options)


def go_on(run: Path, options: ResumeOptions) -> None:
    """Continue a run, and show its end; of several processes, the first one does."""
    import pixelwise

    if not is_first():
        pixelwise.resume(run, options)
        return
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import print_run

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        pixelwise.resume(run, options, observer=observer)
    print_run(run, scored=options.evaluate)
