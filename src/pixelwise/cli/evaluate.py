"""`pixelwise evaluate RUN`: a score with its protocol."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    run: Path = typer.Argument(..., help="Run folder, or an exported model.onnx."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; default: the one it was trained on."),
    split: str = typer.Option(None, "--split", help="Default: the recipe's."),
    protocol: list[str] = typer.Option(
        None, "--protocol", help="Default: the recipe's first. Give it several times to score them in one pass."
    ),
    boundary: bool = typer.Option(True, help="Measure boundary IoU too."),
    calibration: bool = typer.Option(False, "--calibration", help="Measure the calibration error too (slower)."),
    group: str = typer.Option(
        None, "--group", help="Score groups of images too: a regular expression for their names, such as '^[^_]+'."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda."),
    json: bool = typer.Option(False, "--json", help="Print the result as JSON instead of a table."),
) -> None:
    """Score a run.

    Each result, with its tables and pictures, is kept in RUN/evaluations/SPLIT-PROTOCOL; the report is renewed.
    """
    from pixelwise.reports.summary import evaluate_and_show

    evaluate_and_show(
        run,
        data=data,
        split=split,
        protocols=protocol,
        boundary=boundary,
        calibration=calibration,
        group=group,
        device=device,
        as_json=json,
    )
