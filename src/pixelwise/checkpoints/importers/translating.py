"""Translation of source tensors to model keys by the rules of a `Conversion`, before any comparison with a model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pixelwise.checkpoints.importers.conversions import Conversion, Deinterleave, Regroup, Split
from pixelwise.errors import CheckpointError
from pixelwise.storage.names import some


def translate(theirs: Mapping[str, Any], conversion: Conversion) -> dict[str, Any]:
    """Source tensors by model key, according to the rules alone; nothing is compared with a model."""
    weights, _ = reshape(leave_out(theirs, conversion), conversion)
    return {name: weights[key] for key, name in rename(weights, conversion).items()}


def as_convolution(theirs: Tensor, ours: Tensor) -> Tensor:
    """Reshape a linear layer's (out, in) to a 1x1 convolution's (out, in, 1, 1) or back, if the model needs it."""
    if {theirs.ndim, ours.ndim} == {2, 4} and theirs.numel() == ours.numel() and theirs.shape[:2] == ours.shape[:2]:
        return theirs.reshape(ours.shape)
    return theirs


def leave_out(theirs: Mapping[str, Any], conversion: Conversion) -> dict[str, Any]:
    """Source tensors without those that no network here has (`Conversion.left_out`)."""
    patterns = [pattern for pattern, _ in conversion.left_out]
    return {key: value for key, value in theirs.items() if not any(re.fullmatch(p, key) for p in patterns)}


def fit_classes(
    theirs: Mapping[str, Any], num_classes: int, conversion: Conversion
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Drop the "unlabelled" output if the model has none.

    Returns:
        The weights, the keys and indices that were dropped, and notes.

    Raises:
        CheckpointError: K403, the numbers of outputs and classes differ otherwise.
    """
    weights = dict(theirs)
    key, axis = conversion.classifiers[0]
    classifier = weights.get(key)
    if classifier is None:
        return weights, (), ()  # reported later, with all other missing tensors
    outputs = classifier.shape[axis] if isinstance(classifier, Tensor) and classifier.ndim > axis else 0
    unlabelled = conversion.unlabelled_output.get(outputs)
    if outputs == num_classes:
        if unlabelled is None:
            return weights, (), ()
        note = f"output {unlabelled} of the original means 'unlabelled'; the model keeps it as a class"
        return weights, (), (note,)
    if unlabelled is None or outputs != num_classes + 1:
        raise CheckpointError(
            "K403",
            f"{key} has {outputs} outputs, the model {num_classes} classes; "
            "which output belongs to which class is unknown",
            f"build the model with num_classes={outputs}, or choose a recipe of a data set with that many classes"
            if outputs
            else "the file is damaged",
        )
    kept = [output for output in range(outputs) if output != unlabelled]
    dropped = []
    for name, class_axis in conversion.classifiers:
        if name in weights and weights[name].ndim > class_axis and weights[name].shape[class_axis] == outputs:
            weights[name] = weights[name].index_select(class_axis, torch.tensor(kept, device=weights[name].device))
            dropped.append(f"{name}[{':, ' * class_axis}{unlabelled}]")
    note = (
        f"output {unlabelled} of {outputs} ('unlabelled') was dropped: the model never predicts it; "
        f"the other {num_classes} keep their order"
    )
    return weights, tuple(dropped), (note,)


def reshape(weights: dict[str, Any], conversion: Conversion) -> tuple[dict[str, Any], dict[str, str]]:
    """Split, join and reorder source tensors; also returns new key -> source keys that it was made of."""
    weights = dict(weights)
    origins: dict[str, str] = {}
    for rule in conversion.tensors:
        for key in [key for key in weights if re.fullmatch(rule.pattern, key)]:
            if key not in weights or not isinstance(weights[key], Tensor):
                continue
            if isinstance(rule, Regroup):
                groups = weights[key].chunk(len(rule.order), dim=1)
                weights[key] = torch.cat([groups[place] for place in rule.order], dim=1)
            elif isinstance(rule, Deinterleave):
                if weights[key].shape[-1] % len(rule.order):
                    raise other_shape(
                        [f"{key} has {weights[key].shape[-1]} channels; expected a multiple of {len(rule.order)}"]
                    )
                weights[key] = torch.cat([weights[key][..., place :: len(rule.order)] for place in rule.order], dim=-1)
            elif isinstance(rule, Split):
                total = sum(share for _, share in rule.parts)
                tensor = weights.pop(key)
                lengths = [len(tensor) * share // total for _, share in rule.parts]
                if sum(lengths) != len(tensor):
                    raise other_shape([f"{key} has {len(tensor)} rows; expected a multiple of {total}"])
                for (name, _), part in zip(rule.parts, tensor.split(lengths), strict=True):
                    weights[re.sub(rule.pattern, name, key)] = part
                    origins[re.sub(rule.pattern, name, key)] = key
            else:
                keys = [key, *(re.sub(rule.pattern, other, key) for other in rule.others)]
                if all(part in weights for part in keys):
                    joined = re.sub(rule.pattern, rule.key, key)
                    weights[joined] = torch.cat([weights.pop(part) for part in keys])
                    origins[joined] = " + ".join(keys)
    return weights, origins


def rename(weights: Mapping[str, Any], conversion: Conversion) -> dict[str, str]:
    """Source key -> key after all rules."""
    names = {}
    for key in weights:
        name = key
        for pattern, replacement in conversion.rules:
            name = re.sub(pattern, replacement, name)
        names[key] = name
    return names


def other_shape(differing: Sequence[str]) -> CheckpointError:
    """Error K403 for tensors of another shape, each described by one entry of `differing`."""
    return CheckpointError(
        "K403",
        f"{len(differing)} tensors have the wrong shape: {some(differing)}",
        "the file comes from a network of another width or version",
    )
