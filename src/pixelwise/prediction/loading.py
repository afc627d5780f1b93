"""From a run folder to something that predicts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from pixelwise.checkpoints.run_folder import load_trained
from pixelwise.datasets.samples import Reading
from pixelwise.evaluation.devices import choose_device
from pixelwise.prediction.segmenter import Segmenter


def load(
    run: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    warn: Callable[[str, str], None] | None = None,
) -> Segmenter:
    """Load the result of a run, ready to predict.

    Args:
        run: A run folder.
        device: None: a GPU where there is one.
        warn: Told when a damaged checkpoint was passed over, with a code.

    Raises:
        CheckpointError: The folder is no run, or it has no valid checkpoint.
    """
    trained = load_trained(Path(run), warn)
    return Segmenter(
        trained.model,
        palette=trained.palette,
        input_size=trained.recipe.evaluation.input_size,
        device=choose_device(device),
        reading=Reading.of(trained.recipe.data),
    )
