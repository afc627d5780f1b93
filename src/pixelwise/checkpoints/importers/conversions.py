"""Conversion rules for the weights of other systems, applied by `pixelwise.checkpoints.importers.importing`.

The module of a source, such as `pixelwise.checkpoints.importers.sources.enet`, registers a function that returns them:

    @register_importer("pytorch-enet", "enet")
    def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.plugins import Registry

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Splits one source tensor into several model tensors along the first axis.

    Attributes:
        pattern: Regular expression that matches the whole source key.
        parts: (replacement for `re.sub` that gives the new key, share of the rows) of each part, in order.
    """

    pattern: str
    parts: tuple[tuple[str, int], ...]


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Concatenates several source tensors to one model tensor along the first axis.

    Attributes:
        pattern: Regular expression that matches the whole key of the first tensor.
        others: Replacements for `re.sub` that turn the first key into the keys of the others, in order.
        key: Replacement that turns the first key into the key of the joined tensor.
    """

    pattern: str
    others: tuple[str, ...]
    key: str


class Regroup(msgspec.Struct, frozen=True, kw_only=True):
    """Reorders equal groups of input channels (axis 1).

    Attributes:
        pattern: Regular expression that matches the whole source key.
        order: Index of the source group for each group of the model, for example (3, 2, 1, 0).
    """

    pattern: str
    order: tuple[int, ...]


class Deinterleave(msgspec.Struct, frozen=True, kw_only=True):
    """Puts channels of the last axis that alternate between groups into one group after the other.

    Attributes:
        pattern: Regular expression that matches the whole source key.
        order: Which of as many consecutive channels belongs to each group of the model, in the order of the groups;
            with (1, 0), the channels a b c d become b d a c.
    """

    pattern: str
    order: tuple[int, ...]


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that translate the weights of a source to those of a model.

    Attributes:
        rules: (pattern, replacement) pairs for `re.sub`; each key passes through all, in order.
        classifiers: (source key, class axis) of the tensors with one entry per class along that
            axis; the first one is the main classifier's weight.
        unlabelled_output: Number of outputs -> index of the one that means "no class". It is dropped
            when the model has one output less.
        tensors: Operations on the source tensors before the keys are renamed, in order.
        left_out: (pattern of the source key, reason) of tensors that no network here has.
        optional: Prefixes of model keys, such as `auxiliary.`, that may be missing from the file or
            have another width there: the model then keeps its values and the file's are dropped.
    """

    rules: tuple[tuple[str, str], ...]
    classifiers: tuple[tuple[str, int], ...]
    unlabelled_output: dict[int, int] = {}
    tensors: tuple[Split | Join | Regroup | Deinterleave, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    optional: tuple[str, ...] = ()


def refuse_architecture(message: str, help: str) -> CheckpointError:
    """The error (K402) that a source's module raises for weights of another network than the model's."""
    return CheckpointError("K402", message, help)


Converter = Callable[[str, "SegmentationModel", Mapping[str, Any]], Conversion]
"""(source, model, source tensors) -> rules to load them into the model; raises K402 if they are of another network."""


class Importer(NamedTuple):
    """Importer of one system's weights into networks of one family.

    Attributes:
        source: The system that wrote the weights.
        family: Model family.
        conversion: Function that returns the rules.
        swaps_average: Whether the system swaps the running average and the raw weights when it saves, so that the
            average is under `state_dict` and the raw weights under the average's key.
    """

    source: str
    family: str
    conversion: Converter
    swaps_average: bool


IMPORTERS: Registry[Importer] = Registry(
    "importer of weights", CheckpointError, "K401", built_in=("pixelwise.checkpoints.importers.sources",)
)
"""`source/family` -> the importer."""


def register_importer(source: str, *families: str, swaps_average: bool = False) -> Callable[[Converter], Converter]:
    """Register the decorated function as the importer of a system's weights into some model families.

    Args:
        source: Name of the system that writes the weights.
        *families: Model families, as tagged in their specs.
        swaps_average: As in `Importer`.

    Raises:
        RecipeError: R234, an importer of that system into that family is registered already.
    """

    def register(conversion: Converter) -> Converter:
        for family in families:
            IMPORTERS.add(f"{source}/{family}", Importer(source, family, conversion, swaps_average))
        return conversion

    return register


def sources() -> list[str]:
    """The systems whose weights can be imported, in alphabetical order."""
    return sorted({importer.source for importer in IMPORTERS.all().values()})
