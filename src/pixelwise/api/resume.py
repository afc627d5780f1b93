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

    Without any checkpoint it begins at step 0. On the CPU in float32 with the same number of threads the result
    equals, bit for bit, that of a run that was never interrupted.

    Args:
        run: The run folder.
        options: What is to be different from before.
        observer: Told what is being done; `pixelwise.display()` shows it.
        changes: Fields of `ResumeOptions` by name, such as `data="elsewhere"`.

    Returns:
        The run folder.

    Raises:
        CheckpointError: K420, it is not a run; K412, all checkpoints are damaged; K423, a file of the folder is; K430,
            a change would make it another experiment, or end it before the steps it has done; K431, the data is not
            the data the run began with.
        RecipeError: A change, the device or a tracker cannot be used.
        StoppedError: A signal stopped it again.
        DivergedError: T501, five non-finite steps in a row.
    """
    wanted = chosen(ResumeOptions, options, changes)
    folder = runs.resume(run, wanted, observer=observer)
    if wanted.evaluate:
        conclude(folder, observer)
    return folder
