"""How the weights of another system are read: rules as data, which `pixelwise.checkpoints.importers.importing` applies.

A module of keys, such as `pixelwise.checkpoints.importers.sources.enet`, registers a function that makes the rules:

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
    """Their one tensor is several of ours, one after the other along the first axis.

    Attributes:
        pattern: Regular expression of their whole key.
        parts: (key it becomes as in `re.sub`, share of the rows) for each, in order.
    """

    pattern: str
    parts: tuple[tuple[str, int], ...]


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Several of their tensors are one of ours, one after the other along the first axis.

    Attributes:
        pattern: Regular expression of the first one's whole key.
        others: Keys of the others, in order, as replacements of the first one's.
        key: Key of the joined tensor, likewise.
    """

    pattern: str
    others: tuple[str, ...]
    key: str


class Regroup(msgspec.Struct, frozen=True, kw_only=True):
    """Our tensor takes equal groups of input channels (axis 1) in another order.

    Attributes:
        pattern: Regular expression of their whole key.
        order: Their group at each of our places, for example (3, 2, 1, 0).
    """

    pattern: str
    order: tuple[int, ...]


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """How to read the weights of a source.

    Attributes:
        rules: (pattern, replacement) pairs for `re.sub`; each key passes through all, in order.
        classifiers: (their key, axis of classes) of the tensors whose length is the number of
            classes; the first one is the main classifier's weight.
        unlabelled_output: Number of outputs -> the one that means "no class". It is dropped when
            the model has one output less.
        tensors: What is done to their tensors before the rules, in order.
        left_out: (pattern of their key, why) of what no network of ours has.
        optional: Prefixes of our keys, such as `auxiliary.`, that may be missing or of another
            width in the file: then all below the prefix keeps its value and theirs is dropped.
    """

    rules: tuple[tuple[str, str], ...]
    classifiers: tuple[tuple[str, int], ...]
    unlabelled_output: dict[int, int] = {}
    tensors: tuple[Split | Join | Regroup, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    optional: tuple[str, ...] = ()


def refuse_architecture(message: str, help: str) -> CheckpointError:
    """The error for weights of another network than the model's; for the modules of sources."""
    return CheckpointError("K402", message, help)


Converter = Callable[[str, "SegmentationModel", Mapping[str, Any]], Conversion]
"""(source, model, their tensors) -> how they are read into the model; raises K402 where they are of another network."""


class Importer(NamedTuple):
    """What reads the weights of a system into networks of a family.

    Attributes:
        source: The system that wrote them.
        family: The family of the networks.
        conversion: Makes the rules.
        swaps_average: Whether the system puts a running average under `state_dict` when it saves, and the other
            weights where the average was.
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
    """Register the decorated function for the weights of a system, as networks of some families.

    Args:
        source: Name of the system.
        *families: Tags of the specs.
        swaps_average: As in `Importer`.

    Raises:
        RecipeError: R234, somebody reads weights of that system into that family already.
    """

    def register(conversion: Converter) -> Converter:
        for family in families:
            IMPORTERS.add(f"{source}/{family}", Importer(source, family, conversion, swaps_average))
        return conversion

    return register


def sources() -> list[str]:
    """The systems whose weights can be read, in the order of the alphabet."""
    return sorted({importer.source for importer in IMPORTERS.all().values()})
