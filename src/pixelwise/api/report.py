"""`pixelwise.write_report`: the report of a run as one HTML file."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.reports.run import page


def write_report(run: str | os.PathLike[str]) -> Path:
    """Write RUN/report.html from the files in the run folder, replacing an older one.

    A run that is not finished or not scored gets a shorter report.

    Args:
        run: The run folder; of `hub://OWNER/NAME`, a copy in `runs/` gets the report.

    Returns:
        Path of the report.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        DataError: D240, a file of an evaluation is damaged.
        ResourceError: S601, the disk is full.
    """
    return page.write_report(own_run_path(run))
