"""Stand-ins for everything that a pickle names: they keep what the file says and do nothing else.

A pickle is a program that calls what it names. Here every name leads to one of these stand-ins, so that reading a file
of any training script runs none of its classes, and tensors beside unknown objects are still found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGEST_VIEW = 2**24
"""Number of values that a tensor may have beyond those stored, as expanded tensors do."""


class Inert:
    """An object of a class that is not read: its name, and what the file says about it.

    Attributes:
        name: Full name of the class or function in the file.
        arguments: What the file would have passed to it.
        state: What the file would have given it as its attributes.
        entries: What the file would have stored in it under keys.
        items: What the file would have appended to it.
    """

    name: str = ""

    def __new__(cls, *arguments: Any, **_: Any) -> Inert:
        """An object with what the file would have passed to its class."""
        made = object.__new__(cls)
        made.arguments, made.state, made.entries, made.items = arguments, None, {}, []
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        self.arguments: tuple[Any, ...]
        self.state: Any
        self.entries: dict[Any, Any]
        self.items: list[Any]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """Keep an item of a list-like object."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Keep items of a list-like object."""
        self.items.extend(items)

    def add(self, item: Any) -> None:
        """Keep an item of a set-like object."""
        self.items.append(item)

    def __call__(self, *arguments: Any, **_: Any) -> Inert:
        """Another inert object, for what the call would have returned."""
        return inert_class(f"{self.name}(...)")(*arguments)

    def attributes(self) -> dict[Any, Any]:
        """Attributes and entries; empty if the file gives none under names."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:  # attributes of a class with slots
            state = {**(state[0] or {}), **(state[1] or {})} if all(isinstance(p, dict | None) for p in state) else None
        return {**(state if isinstance(state, dict) else {}), **self.entries}


def inert_class(name: str) -> type[Inert]:
    """A class of objects that do nothing, named `name`."""
    return type("Inert", (Inert,), {"name": name})


class Call:
    """One of the few functions that a file may call; the file cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        """The result of the function."""
        return self._function(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError("a file cannot change what it calls")

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a file cannot change what it calls")


class Named(dict[Any, Any]):
    """A dict whose further attributes in the file are ignored."""

    def __init__(self, *arguments: Any) -> None:
        pairs = arguments[0] if arguments and isinstance(arguments[0], (dict, list, tuple)) else ()
        super().__init__(pairs)

    def __setstate__(self, state: Any) -> None:
        pass


class StorageKind:
    """Data type of stored numbers."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a file cannot change what it names")


class Storage:
    """Stored numbers; their bytes are filled in after the pickle was read.

    Attributes:
        key: Their name in the file.
        dtype: Their data type; uint8 if the file leaves it to the tensors.
        numel: Their number.
        data: Their bytes, in the byte order of this machine; None until they were read.
    """

    def __init__(self, key: str, dtype: torch.dtype, numel: int) -> None:
        self.key, self.dtype, self.numel = key, dtype, numel
        self.data: bytearray | None = None

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a file cannot change its storages")

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.numel * self.dtype.itemsize


class Stored:
    """A tensor whose numbers have not been read yet."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, dtype: torch.dtype | None = None) -> None:
        if not isinstance(storage, Storage):
            raise TypeError(f"a tensor is stored in a {type(storage).__name__}")
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError(f"a tensor of size {size} has strides {stride} from {offset} on")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)
        self.dtype = dtype or storage.dtype

    def __setstate__(self, state: Any) -> None:
        pass  # gradients, names and hooks

    def tensor(self) -> Tensor:
        """The tensor, which shares its memory with others of the same storage.

        Raises:
            ValueError: The file does not hold its numbers.
        """
        data = self.storage.data
        count = math.prod(self.size)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True)) + 1
        available = 0 if data is None else len(data) // self.dtype.itemsize
        if count and (last > available or count > available + LARGEST_VIEW):
            raise ValueError(f"a tensor needs {last} numbers of storage {self.storage.key}, which has {available}")
        if not count or data is None:
            return torch.empty(self.size, dtype=self.dtype)
        return torch.frombuffer(data, dtype=self.dtype).as_strided(self.size, self.stride, self.offset)


class ArrayType:
    """A numpy data type under construction."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = code if isinstance(code, str) else ""
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = state[1]

    def dtype(self) -> np.dtype[Any] | None:
        """The data type; None if its values are not numbers."""
        try:
            found = np.dtype(self.order + self.code.lstrip("<>=|"))
        except (TypeError, ValueError):
            return None
        return found if found.kind in "biufc" else None


class Array:
    """A numpy array under construction."""

    def __init__(self, *_: Any) -> None:
        self.shape: Any = ()
        self.type: Any = None
        self.fortran = False
        self.raw: Any = b""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 5:
            _, self.shape, self.type, self.fortran, self.raw = state

    def array(self) -> np.ndarray | None:
        """The array; None if its values are not numbers.

        Raises:
            ValueError: It has other bytes than its shape needs.
        """
        dtype = self.type.dtype() if isinstance(self.type, ArrayType) else None
        raw = self.raw.encode("latin-1") if isinstance(self.raw, str) else self.raw
        if dtype is None or not isinstance(raw, (bytes, bytearray)):
            return None
        order = "F" if self.fortran else "C"
        found = np.frombuffer(bytearray(raw), dtype=dtype).reshape(self.shape, order=order)  # type: ignore[call-overload]
        return found.astype(dtype.newbyteorder("="), copy=False)


def array_of(raw: Any, kind: Any, shape: Any, order: Any = "C", *_: Any) -> Array:
    """The array that numpy pickles as a buffer."""
    made = Array()
    made.__setstate__((1, shape, kind, order == "F", bytes(raw) if isinstance(raw, (bytearray, memoryview)) else raw))
    return made


def scalar_of(kind: Any, raw: Any = b"", *_: Any) -> Any:
    """The number that numpy pickles as its bytes; an inert object if it is none."""
    dtype = kind.dtype() if isinstance(kind, ArrayType) else None
    data = raw.encode("latin-1") if isinstance(raw, str) else raw
    if dtype is None or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        return inert_class("numpy.scalar")(kind, raw)
    return np.frombuffer(data, dtype)[0].item()
