"""`pixelwise distill STUDENT --teacher RUN|ENCODER`: train a network that learns from trained ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_training
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import training
from pixelwise.training.distillation.options import DistillOptions

EXAMPLES = (
    "pixelwise distill unet model.encoder=resnet10t --teacher runs/large --data photos -o runs/small",
    "pixelwise distill photos --teacher runs/a --teacher runs/b --match channels",
    "pixelwise distill photos --teacher runs/large --no-labels --minutes 20  # the teacher alone teaches",
    "pixelwise distill unet --teacher runs/large --data camera-roll --cache-views 8  # images without masks",
    "pixelwise distill unet --teacher tf_efficientnet_lite0 --match features --data camera-roll  # no classes either",
)
"""Shown at the end of the help."""


@takes(DistillOptions)
def run(
    words: list[str] = typer.Argument(
        None,
        metavar="[RECIPE] DATA [FIELD=VALUE]...",
        autocompletion=completion.training_words,
        help="The recipe of the network that learns (`pixelwise recipes` lists them; or a .toml file; left out, "
        "`unet`), the folder with images and masks, and changes to the recipe, such as dice=0.5.",
    ),
    recipe: str = typer.Option(
        None,
        "--recipe",
        metavar="RECIPE",
        autocompletion=completion.recipes,
        help="Name of a recipe, or a .toml file, as the argument.",
    ),
    data: Path = typer.Option(None, "--data", metavar="DATA", help="Folder of the data set, as the argument."),
    output: Path = typer.Option(
        None, "--output", "-o", metavar="RUN", help="Run folder to create. Default: runs/RECIPE-1, -2, ..."
    ),
    *,
    options: DistillOptions,
    json: bool = typer.Option(False, "--json", help="Print folder, report and scores as JSON at the end."),
) -> None:
    """Train a network that learns from trained ones, usually a small one from a large one.

    A teacher is a run with the same classes. It sees the images that the network sees, and says of every pixel how
    likely each class is, beside the labels or (--no-labels) instead of them; training images without a mask teach
    through it alone. With --match features the teacher may have other classes, or none: an encoder by itself, whose
    feature maps are learned from any images, and --weights of the next training begins with what was learned.
    Everything else is as in `pixelwise
    train`, and `pixelwise resume` continues the run. What the run is exported to names the teachers and their licences.
    """
    asked = training(words, recipe, data)
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_training(asked.recipe, asked.data, output, options)
    import pixelwise
    from pixelwise.reports.comparison.finished import print_finished
    from pixelwise.reports.displays import display

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        run = pixelwise.distill(asked.recipe, asked.data, output, options, observer=observer)
    print_finished(Path(run), scored=options.evaluate, as_json=json)
