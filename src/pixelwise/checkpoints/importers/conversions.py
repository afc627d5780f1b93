"""How the weights of another system are read: rules as data, which `pixelwise.checkpoints.importers.importing` applies.

A module of keys, such as `pixelwise.checkpoints.importers.enet`, has one function,
`conversion(source, model, state) -> Conversion`.
"""

from __future__ import annotations

import msgspec

from pixelwise.errors import CheckpointError


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
