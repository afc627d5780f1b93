"""How teachers look at the images of the network that they teach, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from pixelwise.checkpoints.import_folder import licence_of_weights
from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Teacher, read_environment
from pixelwise.storage import printable

Compared = Callable[[tuple[Tensor, ...], Tensor], Tensor]
"""Logits of all heads and the images (B, C, H, W) -> what of the network is compared with its teachers."""


def require_same_channels(
    theirs: Recipe, folder: Path, ours: Recipe, teacher: SegmentationModel, model: SegmentationModel
) -> None:
    """Refuse a teacher that sees other channels of the images than the network.

    Raises:
        CheckpointError: K453, it does.
    """
    alike = teacher.preprocessing.in_channels == model.preprocessing.in_channels
    if alike and theirs.data.channels == ours.data.channels:
        return
    raise CheckpointError(
        "K453",
        f"the teacher {printable(folder)} sees {_channels(theirs)}, this network {_channels(ours)}",
        "give this recipe the teacher's data.channels, or train the teacher on this network's",
    )


def require_rgb(name: str, ours: Recipe) -> None:
    """Refuse an encoder by itself, which knows red, green and blue, as the teacher of a network of other channels.

    Raises:
        CheckpointError: K453, the network sees other channels.
    """
    if ours.data.channels is not None:
        raise CheckpointError(
            "K453",
            f"the teacher {printable(Path(name))} sees RGB, this network {_channels(ours)}",
            "leave out data.channels, or name a run that was trained on these channels",
        )


def require_same_range(theirs: Recipe, folder: Path, ours: Recipe) -> None:
    """Refuse a teacher that knows the same values as other brightnesses. One of images of 8 bits has no range.

    Raises:
        CheckpointError: K453, it does.
    """
    their_range, our_range = theirs.data.input_range, ours.data.input_range
    if their_range is None or our_range is None or their_range == our_range:
        return
    raise CheckpointError(
        "K453",
        f"the teacher {printable(folder)} sees the values {list(their_range)} as 0 to 255 (data.input_range), this "
        f"network {list(our_range)}",
        f"set data.input_range={list(their_range)}, or train the teacher with this network's",
    )


def _channels(recipe: Recipe) -> str:
    channels = recipe.data.channels
    return "RGB" if channels is None else f"the bands {', '.join(map(str, channels))}"


def record_of_run(trained: TrainedModel, folder: Path, unlabelled: int) -> Teacher:
    """What is recorded of a run as a teacher.

    Args:
        trained: Its result.
        folder: The run folder.
        unlabelled: Number of images of which it alone says what they show.
    """
    start = trained.recipe.initialize
    return Teacher(
        recipe=trained.recipe.name,
        step=trained.checkpoint.step,
        weights_sha256=trained.weights_sha256,
        licence=licence_of_weights(folder),
        encoder=start.encoder,
        encoder_licence=start.licence,
        unlabelled=unlabelled,
        derived_from=read_environment(folder).derived_from,
    )
