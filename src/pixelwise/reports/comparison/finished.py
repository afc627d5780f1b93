"""What is printed of training and scoring that may have been of several runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.evaluation.comparison.comparing import compare_runs
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.machine.launched import is_first
from pixelwise.records.folds.summary import Summary
from pixelwise.records.result import Result, to_plain
from pixelwise.records.run_folder import REPORT
from pixelwise.records.seeds.folder import is_seeds, runs_within
from pixelwise.reports.comparison.terminal import print_comparison
from pixelwise.reports.folds.terminal import print_folds
from pixelwise.reports.run.terminal import print_run, show_results, show_unfinished
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable


def print_finished(run: Path, found: Any = None, *, scored: bool, as_json: bool = False) -> None:
    """Print the paths and the scores of a finished run, or the summary of several seeds or folds.

    Args:
        run: The run folder, or that of several seeds or folds.
        found: What `pixelwise.resume` returned.
        scored: Whether it was scored.
        as_json: Print JSON.
    """
    if isinstance(found, Summary):
        print_folds(found, as_json=as_json)
    elif not is_seeds(run):
        print_run(run, scored=scored, as_json=as_json)
    elif is_first():
        _print_seeds(run, compare_runs([run], CompareOptions()) if scored and _has_page(run) else None, as_json)


def show_scored(found: Any, run: Path, *, as_json: bool = False) -> None:
    """Print what `pixelwise.evaluate` returned.

    Args:
        found: A result, a list of them or an `Unfinished`; of several seeds, a list with one of these for each run.
        run: What was scored.
        as_json: Print JSON.
    """
    if runs := runs_within(run):
        _show_of_each(found, runs, run, as_json)
    elif isinstance(found, (Result, list)):
        show_results(found if isinstance(found, list) else [found], run, as_json=as_json)
    else:
        show_unfinished(found, as_json=as_json)


def _show_of_each(found: Any, runs: Sequence[Path], folder: Path, as_json: bool) -> None:
    """Print the results of every run of several seeds, and their summary where there is one; as JSON a list of them."""
    if as_json:
        write_json([_plain(one) for one in found])
        return
    console = Console()
    for one, run in zip(found, runs, strict=True):
        console.print(f"\n{printable(run)}", markup=False, soft_wrap=True)
        if isinstance(one, (Result, list)):
            show_results(one if isinstance(one, list) else [one], run)
        else:
            show_unfinished(one)
    if _has_page(folder):
        console.print(f"\nsummary  {printable(folder / REPORT)}", markup=False, soft_wrap=True)


def _has_page(folder: Path) -> bool:
    return (folder / REPORT).is_file()


def _plain(one: Any) -> Any:
    if isinstance(one, list):
        return list(map(to_plain, one))
    return to_plain(one) if isinstance(one, Result) else msgspec.to_builtins(one)


def _print_seeds(folder: Path, found: Comparison | None, as_json: bool) -> None:
    page = folder / REPORT
    if as_json:
        summary = None if found is None else found.plain()
        report = page if page.is_file() else None
        write_json({"folder": folder, "runs": list(runs_within(folder)), "report": report, "summary": summary})
        return
    console = Console()
    if found is None:
        score = f"pixelwise evaluate {shlex.quote(printable(folder))}"
        console.print(f"{printable(folder)}: trained. Score it with: {score}", markup=False, soft_wrap=True)
        return
    print_comparison(found, console)
    console.print(f"\nruns    {printable(folder)}\nreport  {printable(page)}", markup=False, soft_wrap=True)
