"""`pixelwise train RECIPE`: train, score and report."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.training.options import TrainOptions


@takes(TrainOptions)
def run(
    recipe: str = typer.Argument(..., help="Name of a recipe (see `pixelwise recipes`), or a .toml file."),
    overrides: list[str] = typer.Argument(None, help="Changes to the recipe, such as schedule.epochs=10."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; not needed for the synthetic town."),
    output: Path = typer.Option(None, "--output", help="Run folder to create; default: runs/RECIPE-1, -2, ..."),
    *,
    options: TrainOptions,
) -> None:
    """Train a network, score it and write a report.

    The data set is checked first. If the recipe has stages, they are trained first, in RUN/stages. The run folder
    holds everything: the resolved recipe, checkpoints, log, results and report.html. Training can be interrupted at
    any time (Ctrl-C); `pixelwise resume` continues it.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import print_run

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        run = pixelwise.train(recipe, data, output, options, observer=observer, overrides=tuple(overrides or ()))
    print_run(run, scored=options.evaluate)
