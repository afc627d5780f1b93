"""`pixelwise.resume`: continue a run where it stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelwise.api.default_observer import observer_or_display
from pixelwise.api.live import keeping_page
from pixelwise.api.run import Run
from pixelwise.api.together import call_together, unlaunched
from pixelwise.api.train import accompany_scoring, conclude, is_scored
from pixelwise.checkpoints.hub.resolving import refuse_to_continue
from pixelwise.machine.launched import is_first, world_size
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.ranks.starting import refuse_unfit
from pixelwise.recipes.overrides import in_words
from pixelwise.records.folds.cross_validation import is_cross_validation
from pixelwise.records.folds.summary import Summary
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.records.seeds.folder import is_seeds
from pixelwise.training import runs
from pixelwise.training.options import ResumeOptions
from pixelwise.training.resuming.restoring import has_ended

if TYPE_CHECKING:
    from pixelwise.api.several.seed_runs import SeedRuns


def resume(
    run: str | os.PathLike[str],
    options: ResumeOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Run | Summary | SeedRuns:
    """Continue a run from its newest valid checkpoint, then score it and write its report as `train` does.

    A run without checkpoints begins at step 0. A run that has finished already is not trained further, and scored
    only if it lacks a score. On the CPU in float32, with the same number of threads, the result is bit for bit that of
    an uninterrupted run, unless the length of training changes (W510).

    Args:
        run: The run folder, or that of a cross-validation or of several seeds, whose finished runs stay as they are.
        options: Settings that change from here on; None for no change.
        observer: Receives phases, progress, the status after every step, and warnings. None shows them on a terminal
            or in a notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `ResumeOptions`, such as `data="elsewhere"`.

    Returns:
        The run, as `pixelwise.train` does; of a cross-validation what `pixelwise.crossval` returns; for a folder of
        several seeds, whose runs are finished one after another, a `pixelwise.SeedRuns`.

    Raises:
        CheckpointError: K412, all checkpoints are damaged; K420, the folder is not a run; K423, a file of the folder is
            damaged; K430, a change would make it another experiment or end it before the steps it has done; K431, the
            data is not the data the run began with; K497, the run is on the Hugging Face Hub.
        RecipeError: R307, changes are asked for of the runs of several seeds; others, a change, the device or a tracker
            cannot be used.
        StoppedError: A signal stopped the run again.
        DivergedError: T501, five non-finite steps in a row.
    """
    refuse_to_continue(run)
    wanted = in_words(chosen(ResumeOptions, options, changes))
    refuse_unfit(wanted, wanted.device or "auto")
    if is_cross_validation(Path(run)):
        from pixelwise.api.folds.crossval import resume_crossval  # which trains and resumes single folds

        with observer_or_display(observer) as watcher:
            return resume_crossval(Path(run), wanted, watcher)
    if is_seeds(Path(run)):
        from pixelwise.api.several.seeds import resume_seeds  # which continues each of them with this function

        with observer_or_display(observer) as watcher:
            return resume_seeds(Path(run), wanted, watcher)
    return resume_run(Path(run), wanted, observer)


def resume_run(run: Path, wanted: ResumeOptions, observer: Observer | None) -> Run:
    """Continue a single run, as `resume` does.

    Args:
        run: The run folder.
        wanted: Settings that change from here on.
        observer: As in `resume`.
    """
    if wanted.devices is not None and world_size() == 1:
        with observer_or_display(observer) as watcher:
            read_recipe(run)  # its error needs no processes
            watcher.phase(f"starting {wanted.devices} processes")
            call_together("resume", (run,), {"options": unlaunched(wanted)}, wanted, watcher, run)
        return Run(run)
    if not is_first():
        finished = not wanted.all_overrides() and is_run(run) and has_ended(run)
        if not finished or wanted.data is not None or wanted.device is not None or wanted.track is not None:
            runs.resume(run, wanted)
        if wanted.evaluate and not (finished and is_scored(run)):
            accompany_scoring(run)
        return Run(run)
    with observer_or_display(observer) as watcher:
        _resume(run, wanted, watcher)
    return Run(run)


def _resume(folder: Path, wanted: ResumeOptions, observer: Observer) -> None:
    finished = not wanted.all_overrides() and is_run(folder) and has_ended(folder)
    if finished:
        observer.note("finished already: nothing is left to train")
    with keeping_page(observer, folder) as kept:
        if not finished or wanted.data is not None or wanted.device is not None or wanted.track is not None:
            runs.resume(folder, wanted, observer=kept)
        if wanted.evaluate and not (finished and is_scored(folder)):
            conclude(folder, kept)
