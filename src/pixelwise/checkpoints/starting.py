"""Beginning a training with the result of another run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.checkpoints.checkpoint import Warn, best_checkpoint, newest_checkpoint
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.records.run_folder import CHECKPOINTS, read_recipe
from pixelwise.storage import printable


class Start(NamedTuple):
    """What a network was filled with.

    Attributes:
        recipe: Name of the other run's recipe.
        step: Of its checkpoint.
        weights_sha256: Of the file of weights.
        loaded: How many tensors were taken.
        random: Names of those that stayed as they were.
    """

    recipe: str
    step: int
    weights_sha256: str
    loaded: int
    random: tuple[str, ...]


def begin_with_run(
    model: SegmentationModel, run: Path, *, recipe: str | None = None, partly: bool = False, warn: Warn | None = None
) -> Start:
    """Fill a network with the result of a run: its best or last weights, averaged ones where it kept an average.

    Args:
        model: Freshly built; changed in place.
        run: The other run's folder.
        recipe: Name that the other run's recipe must have; None: any.
        partly: Take whatever agrees in name and shape and leave the rest. Otherwise everything must agree
            but for classifiers of another number of classes, which stay as they are (W450 names them).
        warn: Told of damaged checkpoints and of classifiers that stay as they are.

    Raises:
        CheckpointError: K420 not a run, K421 no checkpoint yet, K412 all damaged, K450 the weights do not
            fit the network, K451 the run is of another recipe.
    """
    theirs = read_recipe(run)
    if recipe is not None and theirs.name != recipe:
        raise CheckpointError(
            "K451",
            f"{printable(run)} is a run of '{theirs.name}'; initialize.recipe is '{recipe}'",
            f"train that one first: pixelwise train {recipe}",
        )
    checkpoint = best_checkpoint(run / CHECKPOINTS, warn) if theirs.selection.weights == "best" else None
    checkpoint = checkpoint or newest_checkpoint(run / CHECKPOINTS, warn)
    if checkpoint is None:
        raise CheckpointError(
            "K421", f"{printable(run)} has no checkpoint yet", f"continue it with: pixelwise resume {printable(run)}"
        )
    name = "ema" if checkpoint.has("ema") else "model"
    tensors, own = checkpoint.tensors(name), model.state_dict()
    fitting = {key: tensors[key] for key in own if key in tensors and tensors[key].shape == own[key].shape}
    rest = tuple(key for key in own if key not in fitting)
    if partly:
        refused = list(rest) if not any(value.is_floating_point() for value in fitting.values()) else []
    else:
        classes = len(theirs.data.class_names() or ()), model.num_classes
        refused = [key for key in rest if not _differs_in_classes(tensors.get(key), own[key], *classes)]
        refused += [key for key in tensors if key not in own]
        if rest and not refused and warn is not None:
            warn("W450", f"{printable(run)} has {classes[0]} classes, not {classes[1]}: {', '.join(rest)} start anew")
    if refused:
        raise CheckpointError(
            "K450",
            f"the weights of {printable(run)} do not fit this network: {len(fitting)} of its {len(own)} tensors agree "
            f"in name and shape; {', '.join(refused[:3])}{', ...' if len(refused) > 3 else ''} do not",
            "name a run of the same model in initialize.run",
        )
    with torch.no_grad():
        for key, value in fitting.items():
            own[key].copy_(value)
    return Start(theirs.name, checkpoint.step, checkpoint.sha256(name), len(fitting), rest)


def _differs_in_classes(theirs: Tensor | None, own: Tensor, their_classes: int, own_classes: int) -> bool:
    """Whether two tensors have the same shape but for the numbers of classes."""
    if theirs is None or theirs.ndim != own.ndim or their_classes == own_classes:
        return False
    sizes = zip(theirs.shape, own.shape, strict=True)
    return all(their == mine or (their, mine) == (their_classes, own_classes) for their, mine in sizes)
