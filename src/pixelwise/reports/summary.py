"""The end of a verb: score, show, write the report, say where everything is."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from pixelwise.evaluation.runs import evaluate
from pixelwise.prediction.loading import load
from pixelwise.prediction.mask_formats import MaskFormat
from pixelwise.prediction.predict import PROBLEMS, predict_paths
from pixelwise.prediction.segmenter import PaletteName
from pixelwise.recipes.protocols import Size
from pixelwise.records.result import to_json
from pixelwise.records.run_folder import ENVIRONMENT, REPORT, read_recipe
from pixelwise.reports.displays import CountDisplay, warn
from pixelwise.reports.run.page import write_report
from pixelwise.reports.run.terminal import print_result
from pixelwise.runtimes import is_artefact, read_sidecar
from pixelwise.storage import json_text, printable


def conclude(run: Path) -> None:
    """Score a finished run under every protocol of its recipe, write the report, show the first table."""
    environment = msgspec.json.decode((run / ENVIRONMENT).read_bytes())
    device = environment["arguments"]["device"]
    protocols = list(read_recipe(run).evaluation.protocols)
    with CountDisplay("evaluating") as display:
        results = evaluate(run, protocol=protocols, device=device, progress=display, warn=warn)
    report = write_report(run)
    console = Console()
    for result in results:
        print_result(result, console)
    console.print(f"\nrun     {printable(run)}\nreport  {printable(report)}", markup=False, soft_wrap=True)


def evaluate_and_show(
    run: Path,
    *,
    data: Path | None,
    split: str | None,
    protocols: list[str] | None,
    boundary: bool,
    calibration: bool,
    group: str | None = None,
    device: str,
    as_json: bool,
) -> None:
    """Score a run, keep the results in its folder, renew the report, print tables or JSON.

    The JSON of several protocols is a list.
    """
    exported = is_artefact(run)
    recipe = read_sidecar(run)[0].resolved_recipe(run) if exported else read_recipe(run)
    chosen = list(protocols or recipe.evaluation.protocols[:1])
    with CountDisplay("evaluating") as display:
        results = evaluate(
            run,
            data,
            split,
            protocol=chosen,
            device=device,
            boundary=boundary,
            calibration=calibration,
            group=group,
            progress=display,
            warn=warn,
        )
    if not exported:
        write_report(run)
    if as_json:
        # One is printed as its file holds it.
        sys.stdout.write(to_json(results[0]).decode() if len(results) == 1 else json_text(results))
        return
    console = Console()
    for result in results:
        print_result(result, console)
    if not exported:
        console.print(f"\nreport  {printable(run / REPORT)}", markup=False, soft_wrap=True)


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
    with CountDisplay("predicting") as display:
        summary = predict_paths(
            segmenter,
            paths,
            output,
            overlay=overlay,
            alpha=alpha,
            palette=palette,
            mask_format=mask_format,
            strict=strict,
            progress=display,
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
