"""Runs and encoders as teachers, told apart by their names without PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.checkpoints.encoders.defaults import PACKAGES
from pixelwise.checkpoints.files.folders import ENDINGS
from pixelwise.checkpoints.hub.addresses import is_address
from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.errors import CheckpointError
from pixelwise.records.run_folder import is_run
from pixelwise.storage import printable


def teacher_path(name: str) -> Path:
    """The path that a teacher's name stands for: that of a run, also of one on the Hugging Face Hub, or of a file.

    Raises:
        CheckpointError: K490 to K496, the address of a run on the hub cannot be fetched.
    """
    return run_path(name) if is_address(name) else Path(name).expanduser()


def is_encoder(name: str) -> bool:
    """Whether a teacher that is no run is an encoder for certain: a package with weights, or a weights file."""
    return name in PACKAGES or (Path(name).expanduser().is_file() and name.lower().endswith(ENDINGS))


def may_be_encoder(name: str) -> bool:
    """Whether a teacher can be the name of an encoder, which only timm knows: no run, no path."""
    if is_address(name):
        return False
    path = Path(name).expanduser()
    return not is_run(path) and not os.path.lexists(path) and os.sep not in name


def refuse_encoder(name: str, match: str) -> None:
    """Refuse an encoder as a teacher of classes.

    Args:
        name: What `distillation.teacher` names.
        match: `distillation.match`, other than `features`.

    Raises:
        CheckpointError: K454, it is an encoder for certain.
    """
    if is_encoder(name):
        raise CheckpointError(
            "K454",
            f"the teacher {printable(Path(name))} is an encoder, which has no classes to be compared by "
            f"distillation.match={match}",
            "compare feature maps: distillation.match=features (--match features); or name the run of a network that "
            "was trained on these classes",
        )
