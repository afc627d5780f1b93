"""The end of a verb: score, show, write the report, say where everything is."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.runs import score_by_name
from pixelwise.prediction.loading import load
from pixelwise.prediction.mask_formats import MaskFormat
from pixelwise.prediction.predict import PROBLEMS, predict_paths
from pixelwise.prediction.segmenter import PaletteName
from pixelwise.recipes.sizes import Size
from pixelwise.records.run_folder import ENVIRONMENT, read_recipe
from pixelwise.reports.displays import CountDisplay, display, warn
from pixelwise.reports.run.page import write_report
from pixelwise.reports.run.terminal import print_result
from pixelwise.storage import json_text, printable


def conclude(run: Path) -> None:
    """Score a finished run under every protocol of its recipe, write the report, show the first table."""
    environment = msgspec.json.decode((run / ENVIRONMENT).read_bytes())
    device = environment["arguments"]["device"]
    protocols = list(read_recipe(run).evaluation.protocols)
    with display() as observer:
        results = score_by_name(run, protocols=protocols, options=EvaluateOptions(device=device), observer=observer)
    report = write_report(run)
    console = Console()
    for result in results:
        print_result(result, console)
    console.print(f"\nrun     {printable(run)}\nreport  {printable(report)}", markup=False, soft_wrap=True)


def predict_and_show(
    run: Path,
    paths: list[str],
    output: Path,
    *,
    overlay: bool,
    alpha: float,
    palette: PaletteName,
    mask_format: MaskFormat,
    window: Size | None,
    strict: bool,
    device: str,
    as_json: bool,
) -> int:
    """Predict files, print a summary; returns how many failed."""
    segmenter = load(run, device=device, window=window, warn=warn)
    with CountDisplay("predicting") as counting:
        summary = predict_paths(
            segmenter,
            paths,
            output,
            overlay=overlay,
            alpha=alpha,
            palette=palette,
            mask_format=mask_format,
            strict=strict,
            progress=counting,
        )
    if as_json:
        sys.stdout.write(json_text(summary))
        return summary.failed
    images = summary.ok + summary.failed
    speed = images / max(summary.seconds, 1e-9)
    sys.stdout.write(
        f"{images} images, {summary.ok} ok, {summary.failed} failed, {speed:.1f} img/s -> {printable(output)}\n"
    )
    if summary.failed:
        sys.stdout.write(f"the failed ones and why: {printable(output / PROBLEMS)}\n")
    return summary.failed
