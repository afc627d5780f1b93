"""`pixelwise resume RUN`: continue a stopped run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_resuming
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import with_data
from pixelwise.training.options import ResumeOptions

EXAMPLES = (
    "pixelwise resume runs/unet-1",
    "pixelwise resume runs/unet-1 --epochs 200  # train it for longer",
    "pixelwise resume runs/unet-1 moved/photos --workers 4",
)
"""Shown at the end of the help."""


@takes(ResumeOptions)
def run(
    run: Path = typer.Argument(
        ..., metavar="RUN", help="Run folder, or that of a cross-validation or of `train --seeds`."
    ),
    words: list[str] = typer.Argument(
        None,
        metavar="[DATA] [FIELD=VALUE]...",
        autocompletion=completion.data_words,
        help="Folder of the data set, if it was moved; changes of length or use of the machine, such as patience=10.",
    ),
    *,
    options: ResumeOptions,
    json: bool = typer.Option(False, "--json", help="Print folder, report and scores as JSON at the end."),
) -> None:
    """Continue a stopped or killed run; if it has stages, with the unfinished one.

    On the CPU in float32, the result is bit for bit that of a run that was never interrupted. With another length
    it usually is not that of any uninterrupted run, because the learning rate depends on the length; this is said, and
    recorded in the run.
    """
    asked = with_data(words, options.data)
    options = msgspec.structs.replace(options, data=asked.data, overrides=asked.settings)
    check_resuming(run, asked.data, options)
    import pixelwise
    from pixelwise.reports.comparison.finished import print_finished
    from pixelwise.reports.displays import display

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        found = pixelwise.resume(run, options, observer=observer)
    print_finished(run, found, scored=options.evaluate, as_json=json)
