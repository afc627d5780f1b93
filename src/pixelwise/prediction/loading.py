"""From a run folder to something that predicts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from pixelwise.checkpoints.run_folder import load_trained
from pixelwise.datasets.samples import Reading
from pixelwise.evaluation.devices import choose_device
from pixelwise.prediction.segmenter import Segmenter, through_windows
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.protocols import protocol as find_protocol


def load(
    run: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    window: Size | None = None,
    warn: Callable[[str, str], None] | None = None,
) -> Segmenter:
    """Load the result of a run, ready to predict as its recipe's first protocol evaluates.

    Args:
        run: A run folder.
        device: None: a GPU where there is one.
        window: (height, width) of windows through which images are seen, overlapping by a quarter; None: as
            the protocol says.
        warn: Told when a damaged checkpoint was passed over, with a code.

    Raises:
        CheckpointError: The folder is no run, or it has no valid checkpoint.
    """
    trained = load_trained(Path(run), warn)
    protocol = find_protocol(trained.recipe.evaluation.protocols[0])
    return Segmenter(
        trained.model,
        palette=trained.palette,
        input_size=protocol.seen_size(trained.recipe.evaluation.input_size),
        device=choose_device(device),
        reading=Reading.of(trained.recipe.data),
        protocol=protocol if window is None else through_windows(protocol, window),
    )
