"""`pixelwise.distill`: training of a recipe that learns from networks which are trained already."""

from __future__ import annotations

import os
from typing import Any

from pixelwise.api.run import Run
from pixelwise.api.train import train
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.recipes.asking import Named
from pixelwise.training.distillation.options import DistillOptions


def distill(
    recipe: Named,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: DistillOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Run:
    """Train a recipe that learns from trained networks, score the result, and write the report, as `train` does.

    `distill("unet", "photos", teacher="runs/large")` is
    `train("unet", "photos", overrides={"distillation.teacher": "runs/large"})`: a teacher sees each image that the
    network is trained on, and says of every pixel how likely each class is. With `match="features"` it says what its
    encoder computes, and may be an encoder without classes; from images without masks alone, the run then learns an
    encoder, with which `train(..., weights=run)` begins.

    Args:
        recipe: The network that learns: a recipe, its name, or the path of a `.toml` file; or the folder of the data
            set, for which the recipe `unet` is taken.
        data: Folder of the data set, where the first argument is a recipe; None for synthetic data.
        output: Run folder to create; None for the first free one of `runs/NAME-1`, `-2`, ...
        options: Options of the training and of what it learns from; None if `changes` name a `teacher`.
        observer: Receives phases, progress, the status after every step, and warnings. None shows them on a terminal
            or in a notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `DistillOptions`, such as `teacher=["runs/a", "runs/b"]` or `labels=False`.

    Returns:
        The run, as `pixelwise.train` does. `resume` continues it.

    Raises:
        CheckpointError: K420, a teacher is not a run; K421, it has no checkpoint yet; K453, it has other classes or
            channels than the network; K454, it is an encoder, but classes are to be compared; others as `train`.
        RecipeError: R203, what is asked for is impossible, such as a temperature of 0; R207, there is no such encoder;
            R299, there is no such feature map; others as `train`.
        DataError: As `train`.
        ResourceError: As `train`.
        RunLockedError: Another process is using `output`.
        StoppedError: A signal stopped the training; `resume` continues it.
        DivergedError: T501, five non-finite steps in a row.
    """
    return train(recipe, data, output, chosen(DistillOptions, options, changes), observer=observer)
