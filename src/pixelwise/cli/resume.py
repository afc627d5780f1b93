"""`pixelwise resume RUN`: continue where it stopped."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    run: Path = typer.Argument(..., help="Run folder."),
    overrides: list[str] = typer.Argument(
        None, help="Changes that keep the run comparable, such as schedule.epochs=400 or data.workers=4."
    ),
    data: Path = typer.Option(None, "--data", help="Where the data is now; default: where it was."),
    device: str = typer.Option(None, "--device", help="auto, cpu or cuda; default: where it began."),
) -> None:
    """Continue a stopped or killed run; where it has stages, the one that is not over.

    On the CPU in float32 the result is, bit for bit, that of a run that was never interrupted.
    """
    from pixelwise.reports.displays import TrainingDisplay
    from pixelwise.reports.summary import conclude
    from pixelwise.training.runs import resume

    with TrainingDisplay() as display:
        resume(run, overrides=overrides or [], data=data, device=device, observer=display.observer)
    conclude(run)
