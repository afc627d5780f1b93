"""`pixelwise.resume`: continue a run where it stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.api.train import conclude
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.training import runs
from pixelwise.training.options import ResumeOptions


def resume(
    run: str | os.PathLike[str], options: ResumeOptions | None = None, *, observer: Observer = SILENT, **changes: Any
) -> Path:
    """Continue a run from its newest valid checkpoint, then score it and write its report as `train` does.

    A run without checkpoints begins at step 0. On the CPU in float32, with the same number of threads, the result is
    bit for bit that of an uninterrupted run, unless the length of training changes (W510).

    Args:
        run: The run folder.
        options: Settings that change from here on; None for no change.
        observer: Receives phases, progress, the status after every step, and warnings; `pixelwise.display()` shows
            them.
        changes: Single fields of `ResumeOptions`, such as `data="elsewhere"`.

    Returns:
        The run folder.

    Raises:
        CheckpointError: K412, all checkpoints are damaged; K420, the folder is not a run; K423, a file of the folder is
            damaged; K430, a change would make it another experiment or end it before the steps it has done; K431, the
            data is not the data the run began with.
        RecipeError: A change, the device or a tracker cannot be used.
        StoppedError: A signal stopped the run again.
        DivergedError: T501, five non-finite steps in a row.
    """
    wanted = chosen(ResumeOptions, options, changes)
    folder = runs.resume(run, wanted, observer=observer)
    if wanted.evaluate:
        conclude(folder, observer)
    return folder
