"""`pixelwise crossval DATA`: a network per fold, scored on images that it has not seen; likely label mistakes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_cross_validation
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import training
from pixelwise.training.folds.options import CrossvalOptions

EXAMPLES = (
    "pixelwise crossval photos  # five networks; their joint score, and labels that may be wrong",
    "pixelwise crossval unet --data photos --folds 3 --minutes 10 -o runs/folds",
    "pixelwise crossval photos --group '^[^_]+'  # images with the same text before the first underscore stay together",
    "pixelwise crossval photos --queue  # and the label editor of `pixelwise ui` begins with the doubtful images",
)
"""Shown at the end of the help."""


@takes(CrossvalOptions)
def run(
    words: list[str] = typer.Argument(
        None,
        metavar="[RECIPE] DATA [FIELD=VALUE]...",
        autocompletion=completion.training_words,
        help="The recipe (`pixelwise recipes` lists them; or a .toml file; left out, `unet`), the folder with images "
        "and masks, and changes to the recipe, such as dice=0.5.",
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
        None, "--output", "-o", metavar="OUT", help="Folder to create. Default: runs/RECIPE-crossval-1, -2, ..."
    ),
    *,
    options: CrossvalOptions,
    json: bool = typer.Option(False, "--json", help="Print the scores and the likely label mistakes as JSON."),
) -> None:
    """Cross-validate a recipe: train a network per fold, score it on the fold, and find labels that may be wrong.

    Every labelled image is held out once, by a network whose training opens none of its fold. OUT/fold-0 and so on are
    ordinary runs. Series stay together, and every fold has its share of every class, as in `pixelwise data split`. It
    can be interrupted at any time (Ctrl-C); `pixelwise resume OUT` continues it, and `pixelwise predict OUT` averages
    what the networks say.
    """
    asked = training(words, recipe, data)
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_cross_validation(asked.recipe, asked.data, output, options)
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.folds.terminal import print_folds

    with display(phases=True) as observer:
        observer.phase("loading PyTorch")
        summary = pixelwise.crossval(asked.recipe, asked.data, output, options, observer=observer)
    print_folds(summary, as_json=json)
