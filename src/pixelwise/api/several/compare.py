"""`pixelwise.compare`: runs held against each other, with intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.checkpoints.hub.resolving import own_run_path
from pixelwise.evaluation.comparison.comparing import compare_runs
from pixelwise.evaluation.comparison.comparison import Comparison
from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.options import chosen
from pixelwise.reports.comparison.rendering import render
from pixelwise.reports.tables.formats import format_of
from pixelwise.storage import write_text
from pixelwise.storage.stores.addresses import require_local


def compare(
    runs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    options: CompareOptions | None = None,
    **changes: Any,
) -> Comparison:
    """Compare runs by their scores of the same images: which is better, and whether the images and seeds say so.

    Runs of one recipe, on the same data, that differ in their seed alone are one side, whose score is their mean. For
    every two sides, the difference of the mean IoU and of the IoU of each class has a 95 % interval. It covers the
    choice of the images, by a paired bootstrap (all runs are scored on the same images, which are drawn together with
    the others of their series, if there are series), and the seeds of sides that have several. Sides of a single run
    are compared as trained networks: what another seed would change is not in the interval. A difference is called
    separated only if it is told from zero after Holm's correction: over the classes of a pair, and over the pairs. See
    `pixelwise.evaluation.comparison.estimates` for the method and its sources.

    Cross-validations of the same images are compared by all of these images, each scored by the network that has not
    seen it; those that differ in their seed alone are one side.

    Nothing is predicted: the counts of single images that `evaluate` keeps are read.

    Args:
        runs: Run folders, `hub://` addresses of runs, exported artefacts, or folders that `train` with `seeds` or
            `crossval` created.
        output: File to write the comparison to; None to only return it.
        options: Options of the comparison; None for the defaults.
        **changes: Single fields of `CompareOptions`.

    Returns:
        The comparison: `.sides`, `.pairs`, `.verdict`, and a table in a notebook.

    Raises:
        RecipeError: R300, there are not two runs; R301, they were not scored on the same split under the same protocol;
            R302, not on the same images; R303, not with the same classes and labels; R304, the counts of single images
            were not kept; R203, `group` is not a regular expression; R260, the format of `output` is not known; R294,
            `output` is an address.
        CheckpointError: K420, one of `runs` is not a run; K421, a fold of a cross-validation was not trained or scored.
        DataError: D240, a result is damaged.
        ResourceError: S601, the disk is full.
    """
    options = chosen(CompareOptions, options, changes)
    file = None if output is None else Path(output)
    if file is not None:
        require_local(file)
    written = options.format or format_of(file)
    named = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    found = compare_runs([own_run_path(one) for one in named], options)
    if file is not None:
        write_text(file, render(found, written))
    return found
