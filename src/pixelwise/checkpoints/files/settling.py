"""From what a pickle said to tensors in dicts: numbers are filled in, pickled modules become their named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pixelwise.checkpoints.files.inert import Array, ArrayType, Inert, Storage, Stored, inert_class

TORCHSCRIPT = "__torch__."
"""Beginning of the class names in a TorchScript archive."""


class Settled(NamedTuple):
    """Content of a file without anything left to read.

    Attributes:
        content: Nested dicts, lists and tuples of tensors, numbers, texts and inert objects.
        modules: Class names of the pickled networks that became dicts of their tensors.
    """

    content: Any
    modules: tuple[str, ...]


def settle(content: Any) -> Settled:
    """Fill in all tensors and arrays, and turn pickled networks into dicts of their tensors.

    Raises:
        ValueError: A tensor lies beyond the numbers of the file.
        RecursionError: The content is nested too deeply.
    """
    modules: dict[str, None] = {}
    return Settled(_Settling(modules).settled(content), tuple(modules))


class _Settling:
    """One pass over the content; an object that occurs twice is settled once."""

    def __init__(self, modules: dict[str, None]) -> None:
        self.modules = modules
        self.done: dict[int, Any] = {}
        self.kept: list[Any] = []  # keeps the identities in `done` unique

    def settled(self, value: Any) -> Any:
        """The value with everything in it settled."""
        if isinstance(value, (str, bytes, int, float, Tensor, np.ndarray)) or value is None:
            return value
        if id(value) in self.done:
            return self.done[id(value)]
        self.kept.append(value)
        if isinstance(value, dict):
            made: dict[Any, Any] = {}
            self.done[id(value)] = made
            for key, item in dict.items(value):
                made[key] = self.settled(item)
            return made
        if isinstance(value, list):
            listed: list[Any] = []
            self.done[id(value)] = listed
            listed += [self.settled(item) for item in value]
            return listed
        self.done[id(value)] = value  # until it is known, for objects that refer to themselves
        self.done[id(value)] = found = self._single(value)
        return found

    def _single(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.settled(item) for item in value)
        if isinstance(value, Stored):
            return value.tensor()
        if isinstance(value, Storage):
            return Stored(value, 0, (value.numel,), (1,)).tensor()
        if isinstance(value, Array):
            value.type = self.settled(value.type)
            found = value.array()
            return inert_class("numpy.ndarray")() if found is None else found
        if isinstance(value, ArrayType) or not isinstance(value, Inert):
            return value
        return self._object(value)

    def _object(self, value: Inert) -> Any:
        value.arguments = tuple(self.settled(item) for item in value.arguments)
        value.items = [self.settled(item) for item in value.items]
        value.state = self.settled(value.state)
        value.entries = self.settled(value.entries)
        state = value.state
        if isinstance(state, dict) and "_parameters" in state and "_modules" in state:
            self.modules[value.name] = None
            return dict(_of_module(state))
        if value.name.startswith(TORCHSCRIPT) and isinstance(state, dict):
            return flat({key: item for key, item in state.items() if _is_part(item)})
        if value.entries and not isinstance(state, dict):
            return value.entries
        return value


def _of_module(state: Mapping[str, Any]) -> dict[str, Any]:
    """Named tensors of a pickled module, as its state_dict has them; its parts are settled already."""
    temporary = state.get("_non_persistent_buffers_set") or ()
    left = set(temporary) if isinstance(temporary, (set, frozenset, list, tuple)) else set()
    own = {**_dict(state.get("_parameters")), **_dict(state.get("_buffers"))}
    named = {key: value for key, value in own.items() if value is not None and key not in left}
    for name, part in _dict(state.get("_modules")).items():
        if isinstance(part, dict):
            named |= {f"{name}.{key}": value for key, value in part.items()}
    return named


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_part(value: Any) -> bool:
    """Whether an attribute of a TorchScript object holds weights: a tensor, or an object with some."""
    return isinstance(value, Tensor) or (isinstance(value, dict) and any(_is_part(item) for item in value.values()))


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts joined to one, with their keys joined by dots."""
    joined: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            joined |= flat(value, f"{prefix}{key}.")
        else:
            joined[f"{prefix}{key}"] = value
    return joined


def as_tensor(value: Any) -> Any:
    """A numeric array as a tensor; anything else unchanged."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    try:
        return torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape))
    except TypeError:
        return value
