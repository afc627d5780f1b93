"""`pixelwise.prelabel`: masks of unlabelled images for correction, and the order in which correcting them pays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.api.default_observer import observer_or_display
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.prediction.labelling.options import PrelabelOptions
from pixelwise.prediction.labelling.prelabel import PrelabelSummary, prelabel_paths
from pixelwise.prediction.loading import load
from pixelwise.recipes.overrides import in_words


def prelabel(
    run: str | os.PathLike[str],
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "prelabels",
    options: PrelabelOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> PrelabelSummary:
    """Write pre-labels for unlabelled images: a data set to correct and to train on.

    Pixels of which the network is not sure are left open: they are ignored by training and scores until somebody
    labels them. The masks have the values of those that the network was trained with, if these are numbers, else class
    ids; `dataset.toml` describes them. `queue.json` lists the images in the order in which correcting them pays most
    by uncertainty and by difference from those before them. The same call again goes on where it was stopped; masks
    that were changed meanwhile are never overwritten.

    Args:
        run: A run folder, or an exported artefact with probabilities (its folder or its file).
        paths: An image file, a folder or a pattern such as `photos/**/*.jpg`, or several of them.
        output: Folder for all files that are written.
        options: Options; None for the defaults.
        observer: Receives progress after every file, and warnings. None shows them on a terminal or in a notebook;
            `pixelwise.Observer()` shows nothing.
        changes: Single fields of `PrelabelOptions`, such as `sure=0.8`.

    Returns:
        The numbers of images and pixels, and the errors of bad files.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint, or the artefact is damaged; K466, it
            outputs class ids, without probabilities.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside the output; R221, the output holds data that are no pre-labels of these
            classes; R222, the network is multi-label; R260, an option is out of range; R285, an override does not
            concern the reading of images.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    with observer_or_display(observer, changes) as watcher:
        options = in_words(chosen(PrelabelOptions, options, changes))
        segmenter = load(run, device=options.device, overrides=options.overrides, trust=options.trust, observer=watcher)
        return prelabel_paths(segmenter, given, Path(output), options, observer=watcher)
