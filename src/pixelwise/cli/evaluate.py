"""`pixelwise evaluate RUN`: score a run with one or more protocols."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.api.requests import check_scoring
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import with_data
from pixelwise.evaluation.options import EvaluateOptions

EXAMPLES = (
    "pixelwise evaluate runs/unet-1",
    "pixelwise evaluate runs/unet-1 --split test",
    "pixelwise evaluate runs/unet-1 other/photos --metric f1  # other data",
    "pixelwise evaluate runs/unet-1 --split test --shard 3/8  # one of the jobs 0 to 7 of an array",
)
"""Shown at the end of the help."""


@takes(EvaluateOptions)
def run(
    run: Path = typer.Argument(
        ..., metavar="RUN", help="Run folder, that of `train --seeds`, hub://OWNER/NAME, or an exported model.onnx."
    ),
    words: list[str] = typer.Argument(
        None,
        metavar="[DATA] [FIELD=VALUE]...",
        autocompletion=completion.data_words,
        help="Folder of the data set, if it is not the one used for training; changes to how the data is read, such "
        "as mask_resize=nearest or 'classes=[road,car]'.",
    ),
    data: Path = typer.Option(None, "--data", metavar="DATA", help="Folder of the data set, as the argument."),
    split: str = typer.Option(
        None,
        "--split",
        metavar="SPLIT",
        help="Split to score, or `all` for every image; default: that of the recipe, or `all` for other data without "
        "splits.",
    ),
    protocol: list[str] = typer.Option(
        None,
        "--protocol",
        metavar="PROTOCOL",
        autocompletion=completion.protocols,
        help="Name of a protocol; default: the recipe's first. May be repeated to score several in one pass.",
    ),
    *,
    options: EvaluateOptions,
    json: bool = typer.Option(False, "--json", help="Print the result as JSON instead of a table."),
) -> None:
    """Score a run on a labelled split.

    Each result is stored with its tables and sample images in RUN/evaluations/SPLIT-PROTOCOL, that of another data set
    in a folder of its own beside it, and RUN/report.html is updated. Classes are matched by their names.
    With --shard, --engine ray or --output, workers share the images, and the same command again goes on where it was
    stopped; the result is that of one process. Images that cannot be read are listed, and there is no result without
    them; the exit status is then 3.
    """
    asked = with_data(words, data)
    options = msgspec.structs.replace(options, overrides=asked.settings)
    check_scoring(run, asked.data, protocol, options)
    import pixelwise
    from pixelwise.reports.comparison.finished import show_scored
    from pixelwise.reports.displays import display

    with display() as observer:
        observer.phase("loading PyTorch")
        found = pixelwise.evaluate(
            run, asked.data, split, protocol=protocol or None, options=options, observer=observer
        )
    show_scored(found, run, as_json=json)
