"""`pixelwise.write_report`: the report of a run as one HTML file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.records.folds.cross_validation import FoldRuns, is_cross_validation, read_cross_validation
from pixelwise.records.folds.summary import read_summary
from pixelwise.records.seeds.folder import is_seeds, runs_within
from pixelwise.reports.folds.page import write_folds_page
from pixelwise.reports.run import page


def write_report(run: str | os.PathLike[str]) -> Path:
    """Write RUN/report.html from the files in the run folder, replacing an older one.

    A run that is not finished or not scored gets a shorter report.

    Args:
        run: The run folder; of `hub://OWNER/NAME`, a copy in `runs/` gets the report, and of a folder of several seeds
            or of a cross-validation all runs and all together.

    Returns:
        Path of the report.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: R300 or R301, runs of several seeds have not begun or have not been scored yet.
        DataError: D240, a file of an evaluation is damaged, or a cross-validation is not finished.
        ResourceError: S601, the disk is full.
    """
    if is_seeds(Path(run)):
        from pixelwise.api.several.seed_runs import write_summary

        for one in runs_within(Path(run)):
            page.write_report(one)
        return write_summary(Path(run))
    if is_cross_validation(Path(run)):
        folder = Path(run)
        summary = msgspec.structs.replace(read_summary(folder), folder=os.fspath(folder))
        for one in FoldRuns(folder, read_cross_validation(folder)).folders:
            page.write_report(one)
        return write_folds_page(folder, summary)
    return page.write_report(own_run_path(run))
