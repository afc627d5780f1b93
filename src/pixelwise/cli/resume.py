"""`pixelwise resume RUN`: continue a stopped run."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.training.options import ResumeOptions


@takes(ResumeOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder."),
    overrides: list[str] = typer.Argument(
        None, help="Changes of length or use of the machine, such as schedule.epochs=400 or data.workers=4."
    ),
    *,
    options: ResumeOptions,
) -> None:
    """Continue a stopped or killed run; if it has stages, with the unfinished one.

    On the CPU in float32, the result is bit for bit that of a run that was never interrupted. With another length
    it usually is not that of any uninterrupted run, because the learning rate depends on the length; this is said, and
    recorded in the run.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import print_run

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        pixelwise.resume(run, options, observer=observer, overrides=tuple(overrides or ()))
    print_run(run, scored=options.evaluate)
