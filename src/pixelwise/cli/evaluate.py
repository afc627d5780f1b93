"""`pixelwise evaluate RUN`: a score with its protocol."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import takes
from pixelwise.evaluation.options import EvaluateOptions


@takes(EvaluateOptions)
def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; default: the one it was trained on."),
    split: str = typer.Option(None, "--split", help="Name of the split; default: the recipe's."),
    protocol: list[str] = typer.Option(
        None,
        "--protocol",
        help="Name of a protocol; default: the recipe's first. Give it several times to score them in one pass.",
    ),
    *,
    options: EvaluateOptions,
    json: bool = typer.Option(False, "--json", help="Print the result as JSON instead of a table."),
) -> None:
    """Score a run.

    Each result, with its tables and pictures, is kept in RUN/evaluations/SPLIT-PROTOCOL; the report is renewed.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.run.terminal import show_results

    with display() as observer:
        found = pixelwise.evaluate(run, data, split, protocol=protocol or None, options=options, observer=observer)
    show_results(found if isinstance(found, list) else [found], run, as_json=json)
