"""`pixelwise evaluate RUN`: score a run with one or more protocols."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from pixelwise.cli.options import takes
from pixelwise.evaluation.options import EvaluateOptions


@takes(EvaluateOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    overrides: list[str] = typer.Argument(
        None, help="Changes to how the data is read, such as data.mask_resize=nearest or 'data.classes=[road,car]'."
    ),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; default: the one used for training."),
    split: str = typer.Option(
        None,
        "--split",
        help="Split to score, or `all` for every image; default: that of the recipe, or `all` for other data without "
        "splits.",
    ),
    protocol: list[str] = typer.Option(
        None,
        "--protocol",
        help="Name of a protocol; default: the recipe's first. May be repeated to score several in one pass.",
    ),
    *,
    options: EvaluateOptions,
    json: bool = typer.Option(False, "--json", help="Print the result as JSON instead of a table."),
) -> None:
    """Score a run on a labelled split.

    Each result is stored with its tables and sample images in RUN/evaluations/SPLIT-PROTOCOL, that of another data set
    in a folder of its own beside it, and RUN/report.html is updated. Classes are matched by their names.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import show_results

    options = msgspec.structs.replace(options, overrides=tuple(overrides or ()))
    with display() as observer:
        observer.phase("loading PyTorch")
        found = pixelwise.evaluate(run, data, split, protocol=protocol or None, options=options, observer=observer)
    show_results(found if isinstance(found, list) else [found], run, as_json=json)
