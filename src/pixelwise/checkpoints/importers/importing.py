"""Import of other systems' weights into a model: translated by rules, refused as a whole if any key is unexplained.

The module of a source (such as `pixelwise.checkpoints.importers.sources.enet`) defines how keys are renamed and what
the outputs mean; this module applies those rules, in the same way for every source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.checkpoints.importers.conversions import IMPORTERS, Conversion, Importer, refuse_architecture, sources
from pixelwise.checkpoints.importers.translating import (
    as_convolution,
    fit_classes,
    leave_out,
    other_shape,
    rename,
    reshape,
    some,
)
from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.suggestions import did_you_mean

WRAPPERS = ("state_dict", "model", "model_state_dict", "model_state", "net")
"""Keys under which training scripts save the weights, beside other state."""

AVERAGES = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema")
"""Keys under which training scripts save a running average of the weights, which is what they evaluate."""

AVERAGE_COUNTERS = ("n_averaged", "steps")
"""Keys of the counters that averaging classes save beside the weights."""

COUNTER = "num_batches_tracked"
"""Suffix of batch normalisation's step counters, which old files lack and evaluation does not use."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """Report of an import: which tensors were loaded, dropped or missing. `str(report)` is its readable form.

    Attributes:
        source: The system that wrote the weights.
        mapped: (source key, model key) of each tensor that was loaded.
        dropped: Keys of source tensors, or parts of them (`key[:, 11]`), that were left out on purpose.
        missing: Model keys that were not loaded; they keep their values. Only counters of batch
            normalisation and an auxiliary head may be missing.
        mismatched: The missing keys that the file has in another width; any other difference of shape is refused.
        notes: Remarks for the user of the weights.
    """

    source: str
    mapped: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line of counts, then the keys that were not mapped, then the notes."""
        lines = [
            f"imported from {self.source}: {len(self.mapped)} tensors mapped, {len(self.dropped)} dropped, "
            f"{len(self.missing)} missing, {len(self.mismatched)} mismatched"
        ]
        for word in ("dropped", "missing", "mismatched"):
            keys: tuple[str, ...] = getattr(self, word)
            if keys:
                lines.append(f"  {word}: {some(keys)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def import_weights(
    model: SegmentationModel, state_dict: Mapping[str, Any], source: str = "pytorch-enet"
) -> ImportReport:
    """Load weights of another system into `model`, completely or not at all.

    Args:
        model: A network of the same architecture; untouched if the weights are refused.
        state_dict: Source tensors by source key; the wrapping of training scripts
            (`{"state_dict": ...}`, `{"model": ...}`, a `module.` prefix on every key) is removed.
        source: The system that wrote the weights.

    Returns:
        Report of which tensors were loaded, dropped or missing.

    Raises:
        CheckpointError: K401 unknown source; K402 another architecture or graph; K403 a shape or
            the number of classes differs; K404 keys that no rule explains, or that are missing.
    """
    importer = _importer(source, model.spec.family)
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(
            "K404",
            f"the weights are a {type(state_dict).__name__}; expected a dict of named tensors",
            "pass the result of torch.load(file, weights_only=True) or model.state_dict()",
        )
    theirs, notes = _unwrap(state_dict, () if importer.swaps_average else AVERAGES)
    return _import(model, source, theirs, importer.conversion(source, model, theirs), notes)


def _import(
    model: SegmentationModel, source: str, theirs: dict[str, Any], conversion: Conversion, notes: tuple[str, ...]
) -> ImportReport:
    ours = model.state_dict()
    weights, dropped, class_notes = fit_classes(leave_out(theirs, conversion), model.num_classes, conversion)
    weights, origins = reshape(weights, conversion)
    names = rename(weights, conversion)
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


def _importer(source: str, family: str) -> Importer:
    importer = IMPORTERS.look_up(f"{source}/{family}")
    if importer is not None:
        return importer
    known = IMPORTERS.all().values()
    families = [one.family for one in known if one.source == source]
    if not families:
        raise CheckpointError(
            "K401",
            f"no importer for weights of '{source}'{did_you_mean(source, sources())}",
            f"known sources: {', '.join(sources())}; a source from another package needs that package installed",
        )
    readers = ", ".join(one.source for one in known if one.family == family) or "no source"
    raise refuse_architecture(
        f"weights of {source} can be loaded into models of the family {' or '.join(families)}; "
        f"this model is of the family {family}",
        f"build the model from a recipe of that family; sources for {family}: {readers}",
    )


def _unwrap(state: Mapping[str, Any], averages: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The tensors by plain keys, without the wrapping of training scripts, and notes about it."""
    for wrapper in averages:
        inner = state.get(wrapper)
        if isinstance(inner, Mapping) and inner:
            named, _ = _unwrap(inner, averages)
            return named, (f"loaded the file's running average of the weights ('{wrapper}')",)
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


def _below(key: str, prefixes: tuple[str, ...]) -> bool:
    return key.startswith(prefixes) if prefixes else False


def _unused_options(
    weights: Mapping[str, Any], names: Mapping[str, str], ours: Mapping[str, Tensor], conversion: Conversion
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Optional prefixes that the file lacks or has in another width, the model keys that differ, and a note on each.

    A part that is present but incomplete, or has keys that no rule explains, is not optional: it is refused later.
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
            notes.append(f"the file has no {what} head; the model's head keeps its initial weights (training only)")
        elif not wanted:
            notes.append(f"the model has no {what} head; the file's head was dropped (training only)")
        elif required <= set(found) <= set(wanted) and (widths := _other_width(found, wanted)):
            mismatched += [key for key in found if found[key] != wanted[key]]
            notes.append(
                f"the file's {what} head has width {widths[1]}, the model's {widths[0]}: the file's head was dropped "
                "and the model's keeps its initial weights (training only)"
            )
        else:
            continue
        unused.append(prefix)
    return tuple(unused), tuple(mismatched), tuple(notes)


def _other_width(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> tuple[int, int] | None:
    """(model's, file's) number of channels if that is the only difference; None if nothing or anything else differs."""
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
    """Pairs of (source key, model key), and model keys that the file lacks; any unexplained key is an error."""
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
            reasons.append(f"{len(unexplained)} keys have no counterpart in the model: {some(unexplained)}")
        if required:
            reasons.append(f"{len(required)} tensors of the model are not in the file: {some(required)}")
        raise CheckpointError(
            "K404",
            f"weights of {source}: {'; '.join(reasons)}",
            "the file comes from another version of the network, or is incomplete",
        )
    return tuple(pairs), missing


def _check_shapes(fitted: Mapping[str, Tensor], ours: Mapping[str, Tensor], pairs: tuple[tuple[str, str], ...]) -> None:
    differing = [
        f"{their_key} has shape {list(fitted[our_key].shape)}, the model's {our_key} {list(ours[our_key].shape)}"
        for their_key, our_key in pairs
        if fitted[our_key].shape != ours[our_key].shape
    ]
    if differing:
        raise other_shape(differing)
