"""`pixelwise train DATA`: train, score and report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_training
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import training
from pixelwise.training.options import TrainOptions

EXAMPLES = (
    "pixelwise train photos  # a U-Net, planned from your images",
    "pixelwise train photos --minutes 20 -o runs/first",
    "pixelwise train photos --recipe unet-resnet18 --epochs 40 --batch 4 --size 256x256 lr=0.001",
    "pixelwise train photos --seeds 3 -o runs/seeds  # seeds 0, 1 and 2",
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
    *,
    options: TrainOptions,
    json: bool = typer.Option(False, "--json", help="Print folder, report and scores as JSON at the end."),
) -> None:
    """Train a network, score it and write a report.

    The data set is checked first. If the recipe has stages, they are trained first, in RUN/stages. The run folder
    holds everything: the resolved recipe, checkpoints, log, results and report.html. Training can be interrupted at
    any time (Ctrl-C); `pixelwise resume` continues it.
    """
    asked = training(words, recipe, data)
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_training(asked.recipe, asked.data, output, options)
    import pixelwise
    from pixelwise.reports.comparison.finished import print_finished
    from pixelwise.reports.displays import display

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        run = pixelwise.train(asked.recipe, asked.data, output, options, observer=observer)
    print_finished(Path(run), scored=options.evaluate, as_json=json)
