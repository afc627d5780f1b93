"""`pixelwise evaluate RUN`: score a run with one or more protocols."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.evaluation.options import EvaluateOptions


@takes(EvaluateOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; default: the one used for training."),
    split: str = typer.Option(None, "--split", help="Split to score; default: that of the recipe."),
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

    Each result is stored with its tables and sample images in RUN/evaluations/SPLIT-PROTOCOL, and RUN/report.html is
    updated.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import show_results

    with display() as observer:
        found = pixelwise.evaluate(run, data, split, protocol=protocol or None, options=options, observer=observer)
    show_results(found if isinstance(found, list) else [found], run, as_json=json)
