"""`pixelwise train RECIPE`: from images to a scored model."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.training.options import TrainOptions


@takes(TrainOptions)
def run(
    recipe: str = typer.Argument(..., help="Name of a recipe (see `pixelwise recipes`) or a file ending in .toml."),
    overrides: list[str] = typer.Argument(None, help="Changes such as optimizer.lr=0.02 or schedule.epochs=10."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; not needed for the synthetic town."),
    output: Path = typer.Option(None, "--output", help="Run folder to create; default: runs/RECIPE-1, -2, ..."),
    *,
    options: TrainOptions,
) -> None:
    """Train, score the result, write the report.

    The data is looked at first. A recipe's stages, where it has any, are trained before it, in RUN/stages. The run
    folder holds everything: the resolved recipe, checkpoints, the log, results and report.html. Interrupt it at any
    time (Ctrl-C); `pixelwise resume` continues it.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import print_run

    with display(phases=True) as observer:
        run = pixelwise.train(recipe, data, output, options, observer=observer, overrides=tuple(overrides or ()))
    print_run(run, scored=options.evaluate)
