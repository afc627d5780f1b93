"""From a run folder or an exported artefact to something that predicts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from pixelwise.checkpoints.trained import load_trained
from pixelwise.datasets.samples import Reading
from pixelwise.machine.devices import choose_device
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.segmenter import Segmenter, through_windows
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes import is_artefact, load_artefact


def load(
    run: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    window: Size | None = None,
    observer: Observer = SILENT,
    warn: Callable[[str, str], None] | None = None,
) -> Segmenter:
    """Load the result of a run, ready to predict as its recipe's first protocol evaluates.

    Args:
        run: A run folder, or an exported artefact: its folder or its file such as `model.onnx`. An artefact of one
            size sees every image resized to that size.
        device: Where the network computes; None: on a GPU where there is one. Artefacts compute on the CPU.
        window: (height, width) of windows through which images are seen, overlapping by a quarter; None: as
            the protocol says.
        observer: Told when a damaged checkpoint was passed over.
        warn: A function that is told instead, with a code and a message.

    Raises:
        CheckpointError: The folder is no run, or it has no valid checkpoint; K462, K463: the artefact is damaged.
        RecipeError: R240, the package that runs the artefact is not installed.
    """
    if is_artefact(Path(run)):
        return _load_exported(Path(run), window)
    trained = load_trained(Path(run), warn or observer.warn)
    protocol = find_protocol(trained.recipe.evaluation.protocols[0])
    return Segmenter(
        trained.model,
        palette=trained.palette,
        input_size=protocol.seen_size(trained.recipe.evaluation.input_size),
        device=choose_device(device),
        reading=Reading.of(trained.recipe.data),
        protocol=protocol if window is None else through_windows(protocol, window),
    )


def _load_exported(path: Path, window: Size | None) -> Segmenter:
    model = load_artefact(path)
    recipe = model.sidecar.resolved_recipe(path)
    protocol = find_protocol(recipe.evaluation.protocols[0])
    if model.fixed_size is not None:
        protocol = msgspec.structs.replace(protocol, window=None, window_stride=None, pad_to=None)
    elif window is not None:
        protocol = through_windows(protocol, window)
    return Segmenter(
        model,
        palette=model.sidecar.palette,
        input_size=protocol.seen_size(recipe.evaluation.input_size),
        device="cpu",
        reading=Reading.of(recipe.data),
        protocol=protocol,
    )
