"""The weights of a run as a source of encoder weights, and what these were derived from."""

from __future__ import annotations

from pathlib import Path

from pixelwise.checkpoints.files.reading import WeightsFile
from pixelwise.checkpoints.trained import result_of
from pixelwise.records.environment import Ancestor, read_environment
from pixelwise.records.run_folder import is_run, read_recipe


def is_run_with_weights(path: Path) -> bool:
    """Whether a path is a run folder, or a folder of imported weights."""
    return path.is_dir() and is_run(path)


def run_weights(run: Path) -> WeightsFile:
    """The result of a run: its best or last weights, averaged if it kept an average.

    Raises:
        CheckpointError: K421 no checkpoint yet, K412 all damaged.
    """
    checkpoint, name = result_of(run, read_recipe(run))
    note = f"read the {name} weights of step {checkpoint.step}"
    return WeightsFile(checkpoint.tensors(name), (note,), (checkpoint.path / f"{name}.safetensors",), run)


def derived_from(path: Path | None) -> tuple[Ancestor, ...]:
    """The networks that the weights of a run were derived from by learning from them; empty for what is no run.

    Args:
        path: The path that `initialize.encoder` names; None if it names none.

    Raises:
        CheckpointError: K423, the record of the run is damaged.
    """
    return read_environment(path).derived_from if path is not None and is_run_with_weights(path) else ()
