"""Weights of other systems: read safely, translated by rules, refused as a whole if anything is unexplained.

A module of keys (such as `pixelwise.checkpoints.importers.enet`) says how they are renamed and what the
outputs mean; what is done with it is the same for all and is here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.checkpoints.importers.conversions import Conversion, Regroup, Split, refuse_architecture
from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.recipes.suggestions import did_you_mean

_KEYS = "pixelwise.checkpoints.importers."
SOURCES: dict[str, dict[str, str]] = {
    "pytorch-enet": {"enet": _KEYS + "enet"},
    "sssegmentation": {"fcn": _KEYS + "resnet", "pspnet": _KEYS + "resnet"},
    "united-perception": {
        "segformer": _KEYS + "segformer",
        "hrnet": _KEYS + "hrnet",
        "ocrnet": _KEYS + "hrnet",
    },
    "torchvision": {
        "fcn": _KEYS + "torchvision",
        "deeplabv3": _KEYS + "torchvision",
        "lraspp": _KEYS + "torchvision",
    },
    "edgeai": {
        "deeplabv3lite": _KEYS + "edgeai",
        "unetlite": _KEYS + "edgeai",
        "fpnlite": _KEYS + "edgeai",
    },
    "erfnet-pytorch": {"erfnet": _KEYS + "erfnet"},
    "mmsegmentation": {"pspnet": _KEYS + "resnet", "segformer": _KEYS + "segformer"},
    "huggingface": {"segformer": _KEYS + "segformer"},
}
"""Source -> family -> the module that knows its keys: `conversion(source, model, state) -> Conversion`."""

WRAPPERS = ("state_dict", "model", "model_state_dict", "model_state", "net")
"""Keys under which training scripts keep the weights among other things."""

AVERAGES = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema")
"""Keys under which they keep a running average of the weights, which is what they score."""

SWAPPED = ("mmsegmentation",)
"""Sources that put the average under `state_dict` when they save, and the other weights where it was."""

AVERAGE_COUNTERS = ("n_averaged", "steps")
"""What averaging classes keep beside the weights."""

COUNTER = "num_batches_tracked"
"""A counter of batch normalisation that old files lack and evaluation does not use."""

SHOWN = 5
"""How many keys an error or a report names."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every tensor. `str(report)` is for reading.

    Attributes:
        source: Which system wrote the weights.
        mapped: (their key, our key) of each tensor that was loaded.
        dropped: Their tensors, or parts of them (`key[:, 11]`), that were left out on purpose.
        missing: Our keys that were not loaded; they keep their value. Only counters of batch
            normalisation and an auxiliary head may be missing.
        mismatched: Those of them that the file has in another width; any other difference of shape is refused.
        notes: Sentences about what to know when using the weights.
    """

    source: str
    mapped: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line of counts, then what was not simply mapped, then the notes."""
        lines = [
            f"imported from {self.source}: {len(self.mapped)} tensors mapped, {len(self.dropped)} dropped, "
            f"{len(self.missing)} missing, {len(self.mismatched)} mismatched"
        ]
        for word in ("dropped", "missing", "mismatched"):
            keys: tuple[str, ...] = getattr(self, word)
            if keys:
                lines.append(f"  {word}: {_some(keys)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def import_weights(
    model: SegmentationModel, state_dict: Mapping[str, Any], source: str = "pytorch-enet"
) -> ImportReport:
    """Load weights of another system into `model`, completely or not at all.

    Args:
        model: A network of the same architecture; untouched if the weights are refused.
        state_dict: Their tensors by their keys; what training scripts put around them
            (`{"state_dict": ...}`, `{"model": ...}`, `module.` before each key) is taken off.
        source: Which system wrote them, one of `SOURCES`.

    Returns:
        What became of every tensor.

    Raises:
        CheckpointError: K401 unknown source; K402 another architecture or graph; K403 a shape or
            the number of classes differs; K404 keys that no rule explains, or that are missing.
    """
    if source not in SOURCES:
        raise CheckpointError(
            "K401",
            f"no importer for weights of '{source}'{did_you_mean(source, SOURCES)}",
            f"known sources: {', '.join(SOURCES)}",
        )
    family = str(model.spec.__struct_config__.tag)
    if family not in SOURCES[source]:
        raise refuse_architecture(
            f"weights of {source} are read into {' or '.join(SOURCES[source])}; this model is of the family {family}",
            f"build the model from a recipe of that family; {family} is read from: {_sources_of(family)}",
        )
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(
            "K404",
            f"the weights are a {type(state_dict).__name__}; expected a dict of named tensors",
            "pass what torch.load(file, weights_only=True) or model.state_dict() gives",
        )
    theirs, notes = _unwrap(state_dict, () if source in SWAPPED else AVERAGES)
    conversion: Conversion = importlib.import_module(SOURCES[source][family]).conversion(source, model, theirs)
    return _import(model, source, theirs, conversion, notes)


def _import(
    model: SegmentationModel, source: str, theirs: dict[str, Any], conversion: Conversion, notes: tuple[str, ...]
) -> ImportReport:
    ours = model.state_dict()
    weights, dropped, class_notes = _fit_classes(_leave_out(theirs, conversion), model.num_classes, conversion)
    weights, origins = _reshape(weights, conversion)
    names = _rename(weights, conversion)
    unused, mismatched, unused_notes = _unused_options(weights, names, ours, conversion)
    pairs, missing = _match(names, weights, ours, unused, source)
    fitted = {our_key: as_convolution(weights[key], ours[our_key]) for key, our_key in pairs}
    _check_shapes(fitted, ours, pairs)
    model.load_state_dict({**ours, **fitted})
    left = tuple(key for key in theirs if any(re.fullmatch(pattern, key) for pattern, _ in conversion.left_out))
    reasons = dict.fromkeys(
        f"{why}: left out" for pattern, why in conversion.left_out if any(re.fullmatch(pattern, key) for key in left)
    )
    whole = tuple(origins.get(key, key) for key in names if _below(names[key], unused))
    return ImportReport(
        source=source,
        mapped=tuple((origins.get(key, key), our_key) for key, our_key in pairs),
        dropped=(*(part for part in dropped if part.partition("[")[0] not in whole), *left, *whole),
        missing=missing,
        mismatched=mismatched,
        notes=(*notes, *class_notes, *reasons, *unused_notes),
    )


def translate(theirs: Mapping[str, Any], conversion: Conversion) -> dict[str, Any]:
    """Their tensors by our keys, as far as the rules go; nothing is compared with a model."""
    weights, _ = _reshape(_leave_out(theirs, conversion), conversion)
    return {name: weights[key] for key, name in _rename(weights, conversion).items()}


def as_convolution(theirs: Tensor, ours: Tensor) -> Tensor:
    """A linear layer's (out, in) is a 1x1 convolution's (out, in, 1, 1), and the other way round."""
    if {theirs.ndim, ours.ndim} == {2, 4} and theirs.numel() == ours.numel() and theirs.shape[:2] == ours.shape[:2]:
        return theirs.reshape(ours.shape)
    return theirs


def _sources_of(family: str) -> str:
    return ", ".join(source for source, families in SOURCES.items() if family in families) or "no source"


def _unwrap(state: Mapping[str, Any], averages: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The tensors by plain keys, without the wrapping of training scripts, and what there is to say about it."""
    for wrapper in averages:
        inner = state.get(wrapper)
        if isinstance(inner, Mapping) and inner:
            named, _ = _unwrap(inner, averages)
            return named, (f"the file's running average of the weights ('{wrapper}') was taken",)
    for wrapper in WRAPPERS:
        inner = state.get(wrapper)
        if isinstance(inner, Mapping):
            return _unwrap(inner, averages)
    named = {str(key): torch.from_numpy(value) if _is_array(value) else value for key, value in state.items()}
    plain = {key: value for key, value in named.items() if key not in AVERAGE_COUNTERS}
    if plain and all(key.startswith("module.") for key in plain):  # DistributedDataParallel, averages
        return _unwrap({key.removeprefix("module."): value for key, value in plain.items()}, averages)
    return named, ()


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype != object


def _leave_out(theirs: Mapping[str, Any], conversion: Conversion) -> dict[str, Any]:
    patterns = [pattern for pattern, _ in conversion.left_out]
    return {key: value for key, value in theirs.items() if not any(re.fullmatch(p, key) for p in patterns)}


def _fit_classes(
    theirs: Mapping[str, Any], num_classes: int, conversion: Conversion
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Their weights with the "unlabelled" output dropped if the model has none, what was dropped, notes."""
    weights = dict(theirs)
    key, axis = conversion.classifiers[0]
    classifier = weights.get(key)
    if classifier is None:
        return weights, (), ()  # named with all other missing tensors later
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
            "nothing says which output belongs to which class",
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
        f"output {unlabelled} of {outputs} ('unlabelled') was dropped: the model never predicts it, "
        f"the other {num_classes} keep their order"
    )
    return weights, tuple(dropped), (note,)


def _reshape(weights: dict[str, Any], conversion: Conversion) -> tuple[dict[str, Any], dict[str, str]]:
    """Their tensors split, joined and regrouped, and what each new key was made of."""
    weights = dict(weights)
    origins: dict[str, str] = {}
    for rule in conversion.tensors:
        for key in [key for key in weights if re.fullmatch(rule.pattern, key)]:
            if key not in weights or not isinstance(weights[key], Tensor):
                continue
            if isinstance(rule, Regroup):
                groups = weights[key].chunk(len(rule.order), dim=1)
                weights[key] = torch.cat([groups[place] for place in rule.order], dim=1)
            elif isinstance(rule, Split):
                total = sum(share for _, share in rule.parts)
                tensor = weights.pop(key)
                lengths = [len(tensor) * share // total for _, share in rule.parts]
                if sum(lengths) != len(tensor):
                    raise _other_shape([f"{key} has {len(tensor)} rows; expected a multiple of {total}"])
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


def _rename(weights: Mapping[str, Any], conversion: Conversion) -> dict[str, str]:
    """Their keys -> what the rules make of them."""
    names = {}
    for key in weights:
        name = key
        for pattern, replacement in conversion.rules:
            name = re.sub(pattern, replacement, name)
        names[key] = name
    return names


def _below(key: str, prefixes: tuple[str, ...]) -> bool:
    return key.startswith(prefixes) if prefixes else False


def _unused_options(
    weights: Mapping[str, Any], names: Mapping[str, str], ours: Mapping[str, Tensor], conversion: Conversion
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The optional prefixes that the file lacks or has in another width, our keys that differ, a note on each.

    A part that is there but incomplete, or has what no rule explains, is not optional any more: it is refused later.
    """
    unused: list[str] = []
    mismatched: list[str] = []
    notes: list[str] = []
    for prefix in conversion.optional:
        wanted = {key: tuple(tensor.shape) for key, tensor in ours.items() if key.startswith(prefix)}
        found = {name: tuple(weights[key].shape) for key, name in names.items() if name.startswith(prefix)}
        required = {key for key in wanted if not key.endswith(COUNTER)}
        what = prefix.rstrip(".")
        if not wanted and not found:
            continue
        if not found:
            notes.append(f"the file has no {what} head; the model's keeps its initial weights (training only)")
        elif not wanted:
            notes.append(f"the model has no {what} head; the file's was dropped (training only)")
        elif required <= set(found) <= set(wanted) and (widths := _other_width(found, wanted)):
            mismatched += [key for key in found if found[key] != wanted[key]]
            notes.append(
                f"the file's {what} head is {widths[1]} wide, the model's {widths[0]}: it was dropped, and the model's "
                "keeps its initial weights (training only)"
            )
        else:
            continue
        unused.append(prefix)
    return tuple(unused), tuple(mismatched), tuple(notes)


def _other_width(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> tuple[int, int] | None:
    """(our, their) number of channels, if that is all that differs; None: nothing does, or something else."""
    pairs = set()
    for key, shape in found.items():
        if len(shape) != len(wanted[key]):
            return None
        pairs |= {(mine, theirs) for mine, theirs in zip(wanted[key], shape, strict=True) if mine != theirs}
    classes = {wanted[key][0] for key in wanted if key.endswith(("classifier.weight", "classifier.bias"))}
    if len(pairs) != 1 or next(iter(pairs))[0] in classes:
        return None
    return next(iter(pairs))


def _match(
    names: Mapping[str, str],
    weights: Mapping[str, Any],
    ours: Mapping[str, Tensor],
    unused: tuple[str, ...],
    source: str,
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Pairs of their keys and ours, and our keys that they lack; everything must be explained."""
    pairs: list[tuple[str, str]] = []
    unexplained: list[str] = []
    taken: set[str] = set()
    for their_key, our_key in names.items():
        if _below(our_key, unused):
            continue
        if our_key in ours and our_key not in taken and isinstance(weights[their_key], Tensor):
            pairs.append((their_key, our_key))
            taken.add(our_key)
        else:
            unexplained.append(their_key)
    missing = tuple(key for key in ours if key not in taken)
    required = [key for key in missing if not key.endswith(COUNTER) and not _below(key, unused)]
    if unexplained or required:
        reasons = []
        if unexplained:
            reasons.append(f"{len(unexplained)} keys have no place in the model: {_some(unexplained)}")
        if required:
            reasons.append(f"{len(required)} tensors of the model are not in the file: {_some(required)}")
        raise CheckpointError(
            "K404",
            f"weights of {source}: {'; '.join(reasons)}",
            "the file comes from another version of the network, or is incomplete",
        )
    return tuple(pairs), missing


def _check_shapes(fitted: Mapping[str, Tensor], ours: Mapping[str, Tensor], pairs: tuple[tuple[str, str], ...]) -> None:
    differing = [
        f"{their_key} is {list(fitted[our_key].shape)}, the model's {our_key} {list(ours[our_key].shape)}"
        for their_key, our_key in pairs
        if fitted[our_key].shape != ours[our_key].shape
    ]
    if differing:
        raise _other_shape(differing)


def _other_shape(differing: list[str]) -> CheckpointError:
    return CheckpointError(
        "K403",
        f"{len(differing)} tensors have another shape: {_some(differing)}",
        "the file comes from a network of another width or version",
    )


def _some(keys: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(keys[:SHOWN])
    return f"{shown} and {len(keys) - SHOWN} more" if len(keys) > SHOWN else shown
