"""`pixelwise.profile`: cost of a network's forward pass, its latency per runtime, or the time of its training steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.checkpoints.hub.resolving import here
from pixelwise.deployment.card.latencies import LatencyTable, measure_runtimes
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.profiling.forward import ForwardProfile, measure_forward
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.training import TrainingProfile, measure_training
from pixelwise.recipes.overrides import Overrides, words_of
from pixelwise.reports.profiles import draw_training, prepare_picture


def profile(
    model: str | os.PathLike[str],
    overrides: Overrides = (),
    options: ProfileOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> ForwardProfile | TrainingProfile | LatencyTable:
    """Measure a network on one image, its training steps (`train=True`), or its latency per runtime (`runtimes=`).

    Args:
        model: Name of a recipe, a `.toml` file or a run folder; with `runtimes` also a folder of imported weights or an
            exported artefact. The network of a recipe has random weights.
        overrides: Changes to the recipe, such as `sampling.batch_size=4`; not with `runtimes`.
        options: Options of the measurement; None for the defaults.
        observer: Receives phases, progress and warnings.
        changes: Single fields of `ProfileOptions`.

    Returns:
        With `runtimes` the table of latencies, with `train` the profile of the training steps, else that of one image.

    Raises:
        RecipeError: R217, `output` is not the name of a picture file; R250, there is no such runtime; R251, options
            exclude each other; others as in `train` and `export`.
        DataError: The data of the training steps cannot be opened or read.
    """
    options = chosen(ProfileOptions, options, changes)
    words = words_of(overrides)
    options.refuse_contradictions(words)
    model = here(model, observer.warn)
    if options.runtimes:
        return measure_runtimes(model, options, observer)
    if not options.train:
        observer.phase("timing images")
        return measure_forward(model, words, options)
    if options.output is not None:
        prepare_picture(Path(options.output))  # before the measurement, which would otherwise be lost
    observer.phase("timing training steps")
    found = measure_training(model, words, options)
    if options.output is not None:
        draw_training(found, Path(options.output))
    return found
