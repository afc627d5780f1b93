"""The weights of a run as a source of encoder weights."""

from __future__ import annotations

from pathlib import Path

from pixelwise.checkpoints.checkpoint import best_checkpoint, newest_checkpoint
from pixelwise.checkpoints.files.reading import WeightsFile
from pixelwise.errors import CheckpointError
from pixelwise.records.run_folder import CHECKPOINTS, is_run, read_recipe
from pixelwise.storage import printable


def is_run_with_weights(path: Path) -> bool:
    """Whether a path is a run folder, or a folder of imported weights."""
    return path.is_dir() and is_run(path)


def run_weights(run: Path) -> WeightsFile:
    """The result of a run: its best or last weights, averaged if it kept an average.

    Raises:
        CheckpointError: K421 no checkpoint yet, K412 all damaged.
    """
    recipe = read_recipe(run)
    folder = run / CHECKPOINTS
    checkpoint = best_checkpoint(folder) if recipe.selection.weights == "best" else None
    checkpoint = checkpoint or newest_checkpoint(folder)
    if checkpoint is None:
        raise CheckpointError(
            "K421", f"{printable(run)} has no checkpoint yet", f"continue it with: pixelwise resume {printable(run)}"
        )
    name = "ema" if checkpoint.has("ema") else "model"
    note = f"read the {name} weights of step {checkpoint.step}"
    return WeightsFile(checkpoint.tensors(name), (note,), (checkpoint.path / f"{name}.safetensors",), run)
