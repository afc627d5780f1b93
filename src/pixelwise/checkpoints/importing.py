"""Weights of other systems: read safely, translated by rules, refused as a whole if anything is unexplained.

A source (one module each, such as `pixelwise.checkpoints.pytorch_enet`) says how keys are renamed
and what its outputs mean; what is done with it is the same for all and is here.
"""

from __future__ import annotations

import importlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.recipes.suggestions import did_you_mean
from pixelwise.storage import printable

SOURCES = {"pytorch-enet": "pixelwise.checkpoints.pytorch_enet"}
"""Source -> its module, which has `conversion(model, state) -> Conversion`."""

WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the weights among other things."""

COUNTER = "num_batches_tracked"
"""A counter of batch normalisation that old files lack and evaluation does not use."""

SHOWN = 5
"""How many keys an error or a report names."""


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """How to read the weights of a source.

    Attributes:
        rules: (pattern, replacement) pairs for `re.sub`; each key passes through all, in order.
        classifier: Their key of the last layer's weight.
        class_axis: Its axis of classes.
        unlabelled_output: Number of outputs -> the one that means "no class". It is dropped when
            the model has one output less.
    """

    rules: tuple[tuple[str, str], ...]
    classifier: str
    class_axis: int
    unlabelled_output: dict[int, int]


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every tensor. `str(report)` is for reading.

    Attributes:
        source: Which system wrote the weights.
        mapped: (their key, our key) of each tensor that was loaded.
        dropped: Their tensors, or parts of them (`key[:, 11]`), that were left out on purpose.
        missing: Our keys that the file lacks; they keep their value. Only counters of batch
            normalisation may be missing.
        mismatched: Our keys whose shape differs; an import that has any is refused.
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
    theirs = _unwrap(state_dict)
    conversion: Conversion = importlib.import_module(SOURCES[source]).conversion(model, theirs)
    ours = model.state_dict()
    pairs, missing = _match(theirs, ours, conversion, source)
    weights, dropped, notes = _fit_classes(theirs, model.num_classes, conversion)
    _check_shapes(weights, ours, pairs)
    model.load_state_dict({**ours, **{our_key: weights[their_key] for their_key, our_key in pairs}})
    return ImportReport(source=source, mapped=pairs, dropped=dropped, missing=missing, notes=notes)


def load_state_file(path: Path | str) -> dict[str, Any]:
    """Read a file of weights without ever running code from it.

    `.safetensors` files are read as such, everything else as a file of `torch.save`, with
    `weights_only=True` and nothing looser.

    Args:
        path: The file.

    Returns:
        What the file holds, on the CPU; for a file of a training script more than weights.

    Raises:
        CheckpointError: K405, there is no such file, it is damaged, it wants to run code (the
            message names what), or it holds something other than named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise _unreadable(path, "there is no such file", "check the path")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, dict):
        raise _unreadable(
            path,
            f"it holds a {type(content).__name__}; expected a dict of named tensors",
            "save model.state_dict() from the system that wrote it",
        )
    return content


def refuse_architecture(message: str, help: str) -> CheckpointError:
    """The error for weights of another network than the model's; for the modules of sources."""
    return CheckpointError("K402", message, help)


def _unwrap(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors by plain keys, without the wrapping of training scripts."""
    for wrapper in WRAPPERS:
        inner = state.get(wrapper)
        if isinstance(inner, Mapping):
            return _unwrap(inner)
    named = {str(key): value for key, value in state.items()}
    if named and all(key.startswith("module.") for key in named):  # DistributedDataParallel
        return _unwrap({key.removeprefix("module."): value for key, value in named.items()})
    return named


def _match(
    theirs: Mapping[str, Any], ours: Mapping[str, Tensor], conversion: Conversion, source: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Pairs of their keys and ours, and our counters that they lack; everything must be explained."""
    pairs: list[tuple[str, str]] = []
    unexplained: list[str] = []
    taken: set[str] = set()
    for their_key, value in theirs.items():
        our_key = their_key
        for pattern, replacement in conversion.rules:
            our_key = re.sub(pattern, replacement, our_key)
        if our_key in ours and our_key not in taken and isinstance(value, Tensor):
            pairs.append((their_key, our_key))
            taken.add(our_key)
        else:
            unexplained.append(their_key)
    missing = tuple(key for key in ours if key not in taken)
    required = [key for key in missing if not key.endswith(COUNTER)]
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


def _fit_classes(
    theirs: Mapping[str, Tensor], num_classes: int, conversion: Conversion
) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """Their weights with the "unlabelled" output dropped if the model has none, what was dropped, notes."""
    weights = dict(theirs)
    key, axis = conversion.classifier, conversion.class_axis
    outputs = weights[key].shape[axis] if weights[key].ndim > axis else 0
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
            f"build the model with num_classes={outputs}" if outputs else "the file is damaged",
        )
    kept = [output for output in range(outputs) if output != unlabelled]
    weights[key] = weights[key].index_select(axis, torch.tensor(kept, device=weights[key].device))
    part = f"{key}[{':, ' * axis}{unlabelled}]"
    note = (
        f"output {unlabelled} of {outputs} ('unlabelled') was dropped: the model never predicts it, "
        f"the other {num_classes} keep their order"
    )
    return weights, (part,), (note,)


def _check_shapes(
    weights: Mapping[str, Tensor], ours: Mapping[str, Tensor], pairs: tuple[tuple[str, str], ...]
) -> None:
    differing = [
        f"{their_key} is {list(weights[their_key].shape)}, the model's {our_key} {list(ours[our_key].shape)}"
        for their_key, our_key in pairs
        if weights[their_key].shape != ours[our_key].shape
    ]
    if differing:
        raise CheckpointError(
            "K403",
            f"{len(differing)} tensors have another shape: {_some(differing)}",
            "the file comes from a network of another width or version",
        )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _unreadable(path, f"it is not a safetensors file: {error}", "copy or download it again") from error


def _read_torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted is None:
            raise _unreadable(path, "it is not a file of torch.save", "copy or download it again") from error
        raise _unreadable(
            path,
            f"it wants to load the Python object '{wanted[1]}', which can run code; only tensors, numbers, "
            "strings and containers are read",
            "save model.state_dict() from the system that wrote it, best as .safetensors",
        ) from error
    except Exception as error:  # a damaged pickle can make the unpickler raise nearly anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _unreadable(path, f"it is damaged: {reason}", "copy or download it again") from error


def _numpy_scalars() -> list[Any]:
    """What a number computed by numpy needs: training scripts save scores beside the weights.

    These build a number from bytes and nothing else. The scalar's constructor moved between numpy's
    versions; files name either place.
    """
    scalar = np.float64(0).__reduce__()[0]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
    ]


def _unreadable(path: Path, reason: str, help: str) -> CheckpointError:
    return CheckpointError("K405", f"{printable(path)}: {reason}", help)


def _some(keys: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(keys[:SHOWN])
    return f"{shown} and {len(keys) - SHOWN} more" if len(keys) > SHOWN else shown
