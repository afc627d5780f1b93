"""`pixelwise train DATA`: train, score and report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_training
from pixelwise.cli.line import completion
from pixelwise.cli.line.together import DEVICES, NODES, RENDEZVOUS, RESTARTS, Together, run_together
from pixelwise.cli.line.words import training
from pixelwise.cli.options import takes
from pixelwise.cli.resume import go_on
from pixelwise.machine import launched
from pixelwise.machine.launched import is_first
from pixelwise.recipes.files import find
from pixelwise.records.run_folder import is_run, new_run_folder
from pixelwise.training.options import ResumeOptions, TrainOptions

EXAMPLES = (
    "pixelwise train photos  # a U-Net, planned from your images",
    "pixelwise train photos --minutes 20 -o runs/first",
    "pixelwise train photos --recipe unet-resnet18 --epochs 40 --batch 4 --size 256x256 lr=0.001",
    "pixelwise train camvid-cpu-1h CamVid  # another recipe",
)
"""Shown at the end of the help."""


@takes(TrainOptions)
def run(
    words: list[str] = typer.Argument(
        None,
        metavar="[RECIPE] DATA [FIELD=VALUE]...",
        autocompletion=completion.training_words,
        help="Folder with images and masks; the recipe is then `unet`, unless one is named before it (`pixelwise "
        "recipes` lists them; or a .toml file). Then changes to the recipe, such as dice=0.5.",
    ),
    recipe: str = typer.Option(
        None,
        "--recipe",
        metavar="RECIPE",
        autocompletion=completion.recipes,
        help="Name of a recipe, or a .toml file. Default: unet.",
    ),
    data: Path = typer.Option(None, "--data", metavar="DATA", help="Folder of the data set, as the argument."),
    output: Path = typer.Option(
        None, "--output", "-o", metavar="RUN", help="Run folder to create. Default: runs/RECIPE-1, -2, ..."
    ),
    devices: int = DEVICES,
    nodes: str = NODES,
    rendezvous: str = RENDEZVOUS,
    restarts: int = RESTARTS,
    *,
    options: TrainOptions,
) -> None:
    """Train a network, score it and write a report.

    The data set is checked first. If the recipe has stages, they are trained first, in RUN/stages. The run folder
    holds everything: the resolved recipe, checkpoints, log, results and report.html. Training can be interrupted at
    any time (Ctrl-C); `pixelwise resume` continues it.
    """
    asked = training(words, recipe, data)
    options = msgspec.structs.replace(options, overrides=asked.settings)
    together = Together(devices, nodes, rendezvous, restarts)
    if launched.restarts() and output is not None and is_run(output):
        go_on(output, ResumeOptions(evaluate=options.evaluate))
        return
    if is_first():
        check_training(asked.recipe, asked.data, output, options)
    if together.wanted:
        given = ["--output", str(output := new_run_folder(find(asked.recipe).name))] if output is None else []
        raise typer.Exit(run_together(together, output, given))
    import pixelwise

    if not is_first():
        pixelwise.train(asked.recipe, asked.data, output, options)
        return
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import print_run

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        run = pixelwise.train(asked.recipe, asked.data, output, options, observer=observer)
    print_run(run, scored=options.evaluate)
