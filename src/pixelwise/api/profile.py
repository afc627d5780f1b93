"""`pixelwise.profile`: what a network costs, in which runtime, or where the time of its training goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelwise.deployment.card.latencies import LatencyTable, measure_runtimes
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.profiling.forward import ForwardProfile, measure_forward
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.training import TrainingProfile, measure_training
from pixelwise.reports.profiles import draw_training, refuse_picture_format


def profile(
    model: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    options: ProfileOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> ForwardProfile | TrainingProfile | LatencyTable:
    """Measure a network on one image; with `train=True` its training steps, with `runtimes=` its forward pass in each.

    Args:
        model: Name of a recipe, a `.toml` file or a run folder; with runtimes also a folder of imported weights or an
            exported artefact. A recipe's network has random weights.
        overrides: Changes to the recipe such as `sampling.batch_size=4`; not with runtimes.
        options: What is measured, and how.
        observer: Told what is being done.
        changes: Fields of `ProfileOptions` by name.

    Returns:
        The table of latencies with runtimes, the profile of the training steps with `train`, else that of one image.

    Raises:
        RecipeError: R251, options that do not go together; R217, `output` names no kind of picture; R250, there is no
            such runtime; as `train` and `export`.
        DataError: The data of the training steps cannot be opened or read.
    """
    options = chosen(ProfileOptions, options, changes)
    options.refuse_contradictions(overrides)
    if options.runtimes:
        return measure_runtimes(model, options, observer)
    if not options.train:
        observer.phase("timing images")
        return measure_forward(model, overrides, options)
    if options.output is not None:
        refuse_picture_format(Path(options.output))
    observer.phase("timing training steps")
    found = measure_training(model, overrides, options)
    if options.output is not None:
        draw_training(found, Path(options.output))
    return found
