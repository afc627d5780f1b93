"""`pixelwise.predict`: masks and overlays of images, written by a run or an exported artefact."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pixelwise.api.default_observer import observer_or_display
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.prediction.loading import load
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.receipts.summaries import PredictSummary
from pixelwise.prediction.shards.into_tars import predict_into_tars
from pixelwise.recipes.overrides import in_words
from pixelwise.storage.stores.addresses import place_of


def predict(
    run: str | os.PathLike[str],
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "predictions",
    options: PredictOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> PredictSummary:
    """Write masks and overlays for images.

    Images are resized to the size at which the network was evaluated; very large ones are predicted by windows, and
    TIFF images that are too large to be decoded whole in parts. A bad file is skipped and listed in `problems.jsonl`.
    `pixelwise.prediction.predict.predict_paths` describes the files that are written.

    Args:
        run: A run folder, or an exported artefact (its folder or its file).
        paths: An image file, a folder or a pattern such as `photos/**/*.jpg`, or several of them.
        output: Folder for all files that are written.
        options: Options of the prediction; None for the defaults.
        observer: Receives progress after every file, and warnings if a damaged checkpoint was skipped, or if an
            artefact's masks can differ from those of its run (W471 to W475). None shows them on a terminal or in a
            notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `PredictOptions`, such as `overlay=False`.

    Returns:
        The number of files that were predicted, and the errors of the others.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint, or the artefact is damaged.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside an output folder; R221, an output folder holds files that are not
            predictions; R222, the mask format belongs to a data set with other classes; R260, an option is not one of
            its choices; R285, an override does not concern the reading of images.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    with observer_or_display(observer, changes) as watcher:
        options = in_words(chosen(PredictOptions, options, changes))
        place = place_of(output)
        tars = options.writes_tars(place)
        run = run_path(run, watcher.warn)
        segmenter = load(
            run,
            device=options.device,
            window=options.window,
            overrides=options.overrides,
            trust=options.trust,
            observer=watcher,
        )
        if tars:
            return predict_into_tars(segmenter, run, given, place, options, watcher)
        return predict_paths(segmenter, given, place, options, observer=watcher)
