"""Initialization of a training run with the result of another run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pixelwise.checkpoints.class_order import in_order_of
from pixelwise.checkpoints.soundness import require_sound, warn_of
from pixelwise.checkpoints.trained import result_of
from pixelwise.datasets.classes.agreement import are_numbers, listed, normal_name
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Ancestor, read_environment
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import printable
from pixelwise.storage.names import some


class Start(NamedTuple):
    """Record of the weights that a network was initialized with.

    Attributes:
        recipe: Name of the other run's recipe.
        step: Step of the checkpoint that was loaded.
        weights_sha256: SHA-256 of the weights file.
        loaded: Number of tensors that were loaded.
        random: Names of the tensors that kept their values.
        derived_from: The networks that the other run's weights were derived from.
    """

    recipe: str
    step: int
    weights_sha256: str
    loaded: int
    random: tuple[str, ...]
    derived_from: tuple[Ancestor, ...] = ()


def begin_with_run(
    model: SegmentationModel, run: Path, *, recipe: str | None = None, partly: bool = False, warn: Warn | None = None
) -> Start:
    """Load the result of another run into a network: its best or last weights, averaged if the run kept an average.

    Args:
        model: Freshly built model; changed in place.
        run: The other run's folder.
        recipe: Name that the other run's recipe must have; None: any.
        partly: Load all tensors that agree in name and shape and leave the rest. If False, all tensors must agree
            except classifiers for another number of classes, which keep their values (W450 names them).
        warn: Receives warnings about damaged checkpoints, about classifiers that keep their values (W450), about
            classes in another order (W410) or of other names (W414), and about implausible values (W480).

    Raises:
        CheckpointError: K420 not a run, K421 no checkpoint yet, K412 all damaged, K423 its record is damaged,
            K450 the weights do not fit the network, K451 the run is of another recipe, K480 or K481 their values are
            impossible.
    """
    theirs = read_recipe(run)
    if recipe is not None and theirs.name != recipe:
        raise CheckpointError(
            "K451",
            f"{printable(run)} is a run of '{theirs.name}'; initialize.recipe is '{recipe}'",
            f"train that recipe first: pixelwise train {recipe}",
        )
    checkpoint, name = result_of(run, theirs, warn)
    tensors, own = checkpoint.tensors(name), model.state_dict()
    if not partly:
        tensors = _by_names(tensors, theirs, model, run, warn)
    fitting = {key: tensors[key] for key in own if key in tensors and tensors[key].shape == own[key].shape}
    rest = tuple(key for key in own if key not in fitting)
    if partly:
        refused = list(rest) if not any(value.is_floating_point() for value in fitting.values()) else []
    else:
        classes = len(theirs.data.class_names() or ()), model.num_classes
        refused = [key for key in rest if not _differs_in_classes(tensors.get(key), own[key], *classes)]
        refused += [key for key in tensors if key not in own]
        if rest and not refused and warn is not None:
            warn(
                "W450",
                f"{printable(run)} has {classes[0]} classes, this network {classes[1]}: {', '.join(rest)} keep their "
                "initial weights",
            )
    if refused:
        raise CheckpointError(
            "K450",
            f"the weights of {printable(run)} do not fit this network: {len(fitting)} of its {len(own)} tensors agree "
            f"in name and shape; these do not: {some(refused)}",
            "set initialize.run to a run of the same model",
        )
    where = f"{printable(checkpoint.path)}/{name}.safetensors"
    warn_of(require_sound(fitting, where, initial=own), where, warn)
    with torch.no_grad():
        for key, value in fitting.items():
            own[key].copy_(value)
    derived = read_environment(run).derived_from
    return Start(theirs.name, checkpoint.step, checkpoint.sha256(name), len(fitting), rest, derived)


def _by_names(
    tensors: dict[str, Tensor], theirs: Recipe, model: SegmentationModel, run: Path, warn: Warn | None
) -> dict[str, Tensor]:
    """The tensors with the outputs of each class where the network has the class of that name.

    Outputs cannot be matched if only some names agree: they then begin with the weights of another class (W414).
    """
    names, ours = theirs.data.class_names() or (), getattr(model, "classes", ())
    if len(names) != len(ours) or tuple(names) == tuple(ours):
        return tensors
    ordered = in_order_of(tensors, theirs, names, ours)
    if ordered is not None:
        if warn is not None:
            warn(
                "W410",
                f"{printable(run)} has the classes of this network in another order, {listed(names)}; the weights of "
                f"its outputs are matched by name with {listed(ours)}",
            )
        return ordered
    moved = [
        f"{printable(new)} with the weights of {printable(old)}"
        for old, new in zip(names, ours, strict=True)
        if normal_name(old) != normal_name(new)
    ]
    if warn is not None and moved and not are_numbers(ours) and not are_numbers(names):
        warn("W414", f"{printable(run)} has other classes: training begins {some(moved)}")
    return tensors


def _differs_in_classes(theirs: Tensor | None, own: Tensor, their_classes: int, own_classes: int) -> bool:
    """Whether the shapes of two tensors differ in the number of classes alone."""
    if theirs is None or theirs.ndim != own.ndim or their_classes == own_classes:
        return False
    sizes = zip(theirs.shape, own.shape, strict=True)
    return all(their == mine or (their, mine) == (their_classes, own_classes) for their, mine in sizes)
