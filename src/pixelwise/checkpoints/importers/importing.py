"""Import of other systems' weights into a model: translated by rules, refused as a whole if any key is unexplained.

The module of a source (such as `pixelwise.checkpoints.importers.sources.enet`) defines how keys are renamed and what
the outputs mean; this module applies those rules, in the same way for every source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from torch import Tensor

from pixelwise.checkpoints.files.wrappers import Found, find_weights, views
from pixelwise.checkpoints.importers.conversions import IMPORTERS, Conversion, Importer, refuse_architecture, sources
from pixelwise.checkpoints.importers.translating import (
    as_convolution,
    fit_classes,
    leave_out,
    other_shape,
    rename,
    reshape,
)
from pixelwise.checkpoints.soundness import require_sound
from pixelwise.errors import CheckpointError
from pixelwise.models.base import SegmentationModel
from pixelwise.storage.names import some
from pixelwise.suggestions import did_you_mean

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
        warnings: Remarks about implausible values (W480), which were loaded all the same.
    """

    source: str
    mapped: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line of counts, then the keys that were not mapped, then the notes and the warnings."""
        lines = [
            f"imported from {self.source}: {len(self.mapped)} tensors mapped, {len(self.dropped)} dropped, "
            f"{len(self.missing)} missing, {len(self.mismatched)} mismatched"
        ]
        for word in ("dropped", "missing", "mismatched"):
            keys: tuple[str, ...] = getattr(self, word)
            if keys:
                lines.append(f"  {word}: {some(keys)}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join([*lines, *(f"  warning[W480]: {warning}" for warning in self.warnings)])


def import_weights(
    model: SegmentationModel, state_dict: Mapping[str, Any], source: str = "pytorch-enet"
) -> ImportReport:
    """Load weights of another system into `model`, completely or not at all.

    Args:
        model: A network of the same architecture; untouched if the weights are refused.
        state_dict: Source tensors by source key; what training scripts put around them (`{"state_dict": ...}`, a
            running average, `module.`, `_orig_mod.` or `model.` before every key, in any nesting) is removed.
        source: The system that wrote the weights.

    Returns:
        Report of which tensors were loaded, dropped or missing.

    Raises:
        CheckpointError: K401 unknown source; K402 another architecture or graph; K403 a shape or the number of classes
            differs; K404 keys that no rule explains, or that are missing; K480 or K481 impossible values; K482 numbers
            of a kind that is not read.
    """
    importer = _importer(source, model.spec.family)
    found = find_weights(state_dict, averages=not importer.swaps_average)
    refusals: list[CheckpointError] = []
    for view in views(found):
        try:
            return _import(model, source, view, importer.conversion(source, model, view.tensors))
        except CheckpointError as refusal:
            refusals.append(refusal)
            if refusal.code not in _OTHER_KEYS:
                break
    raise max(refusals, key=lambda refusal: _EVIDENCE.get(refusal.code, len(_EVIDENCE)))


_OTHER_KEYS = ("K402", "K404")
"""Codes of refusals that may be due to what precedes the keys."""
_EVIDENCE = {"K402": 0, "K404": 1}
"""Code -> how much a refusal says; a source that recognised the keys says more. The first of equals is raised."""


def _import(model: SegmentationModel, source: str, found: Found, conversion: Conversion) -> ImportReport:
    theirs = found.tensors
    ours = model.state_dict()
    weights, dropped, class_notes = fit_classes(leave_out(theirs, conversion), model.num_classes, conversion)
    weights, origins = reshape(weights, conversion)
    names = rename(weights, conversion)
    unused, mismatched, unused_notes = _unused_options(weights, names, ours, conversion)
    pairs, missing = _match(names, weights, ours, unused, source, found.left)
    fitted = {our_key: as_convolution(weights[key], ours[our_key]) for key, our_key in pairs}
    _check_shapes(fitted, ours, pairs)
    sources = {our_key: origins.get(key, key) for key, our_key in pairs}
    type_notes = _check_types(fitted, ours, sources)
    warnings = require_sound(
        {sources[our_key]: tensor for our_key, tensor in fitted.items()}, f"weights of {source}", initial=None
    )
    model.load_state_dict({**ours, **fitted})
    left = tuple(key for key in theirs if any(re.fullmatch(pattern, key) for pattern, _ in conversion.left_out))
    reasons = dict.fromkeys(
        f"{why}: left out" for pattern, why in conversion.left_out if any(re.fullmatch(pattern, key) for key in left)
    )
    whole = tuple(origins.get(key, key) for key in names if _below(names[key], unused))
    return ImportReport(
        source=source,
        mapped=tuple((sources[our_key], our_key) for _, our_key in pairs),
        dropped=(*found.left, *(part for part in dropped if part.partition("[")[0] not in whole), *left, *whole),
        missing=missing,
        mismatched=mismatched,
        notes=(*found.notes, *class_notes, *reasons, *unused_notes, *type_notes),
        warnings=warnings,
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


def _check_types(
    fitted: Mapping[str, Tensor], ours: Mapping[str, Tensor], sources: Mapping[str, str]
) -> tuple[str, ...]:
    """Notes on numbers that are converted; integers where the model computes with fractions are refused."""
    floating = {key: tensor for key, tensor in fitted.items() if ours[key].is_floating_point()}
    whole = [f"{sources[key]} ({_type(t)})" for key, t in floating.items() if not t.is_floating_point()]
    if whole:
        raise CheckpointError(
            "K482",
            f"{len(whole)} tensors hold no fractions where the model computes with them: {some(whole)}; expected "
            "floating-point numbers",
            "these are the weights of a quantized network; import those of the network before its quantization",
        )
    kinds: dict[str, list[str]] = {}
    for key, tensor in floating.items():
        if tensor.dtype != ours[key].dtype:
            kinds.setdefault(f"{_type(tensor)} numbers became {_type(ours[key])}", []).append(key)
    return tuple(f"the file's {what} ({len(keys)} tensors)" for what, keys in kinds.items())


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


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
    left: tuple[str, ...],
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
        if left:
            reasons.append(f"{len(left)} entries of the file were left out: {some(left)}")
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
