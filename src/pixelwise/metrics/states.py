"""What an accumulator has counted, as bytes that another process reads without running anything.

Accumulators of one host are passed between processes as pickles. A receipt of an evaluation may come from anywhere, and
a pickle can do anything when it is read; so its bytes are MessagePack of plain values, and the accumulator that they
are put into is one of the metric that the reader has itself.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import torch

from pixelwise.metrics.metric import Accumulator, Task

_AS_IT_IS = (type(None), bool, float, str, bytes)
_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class UnknownKindError(TypeError):
    """An accumulator holds something that is no plain value.

    Args:
        kind: Name of its type.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"it keeps a `{kind}`")


def packed(accumulator: Accumulator) -> bytes:
    """What an accumulator has counted.

    It may keep numbers, texts, bytes, arrays, tensors, and lists, tuples, sets and dictionaries of them; its attributes
    may also be named tuples. `__getstate__` and `__setstate__`, as for pickles, can make it so.

    Raises:
        UnknownKindError: It keeps something else.
    """
    state = accumulator.__getstate__()
    if isinstance(state, dict):
        state = {name: tuple(value) if _is_named(value) else value for name, value in state.items()}
    return msgspec.msgpack.encode(_plain(state))


def unpacked(content: bytes, accumulator: Accumulator) -> Accumulator:
    """An accumulator with what another one of the same metric and task has counted.

    Args:
        content: What `packed` returned.
        accumulator: A new accumulator, which is changed.

    Raises:
        msgspec.DecodeError, ValueError, TypeError, KeyError: The bytes are not those of such an accumulator.
    """
    state = _value(msgspec.msgpack.decode(content), accumulator.task)
    if hasattr(accumulator, "__setstate__"):
        accumulator.__setstate__(state)  # type: ignore[attr-defined]
        return accumulator
    for name, value in state.items():
        before = getattr(accumulator, name, None)
        setattr(accumulator, name, type(before)(*value) if _is_named(before) else value)
    return accumulator


def _is_named(value: object) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _plain(value: Any) -> Any:
    """A value as what MessagePack has; containers and numbers of other kinds become lists that begin with their kind.

    Raises:
        UnknownKindError: It is none of those that `packed` names.
    """
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else ["int", str(value)]
    if kind.__name__ in _CONTAINERS and kind is _CONTAINERS[kind.__name__]:
        return [kind.__name__, *map(_plain, value)]
    if kind is dict:
        return ["dict", *([_plain(key), _plain(content)] for key, content in value.items())]
    if isinstance(value, Task):
        return ["task"]
    if kind is torch.Tensor and value.dtype is not torch.bfloat16:
        return ["tensor", *_plain(value.detach().cpu().numpy())[1:]]
    if (kind is np.ndarray or isinstance(value, np.generic)) and value.dtype.kind in "biufcSU":
        shape = list(value.shape)
        return ["array" if kind is np.ndarray else "number", value.dtype.str, shape, np.asarray(value).tobytes()]
    raise UnknownKindError(kind.__qualname__)


def _value(plain: Any, task: Task) -> Any:
    if not isinstance(plain, list):
        return plain
    kind, *rest = plain
    if kind == "task":
        return task
    if kind == "int":
        return int(rest[0])
    if kind == "dict":
        return {_value(key, task): _value(content, task) for key, content in rest}
    if kind in ("array", "tensor", "number"):
        dtype, shape, content = rest
        array = np.frombuffer(bytearray(content), np.dtype(dtype)).reshape(shape)
        return array if kind == "array" else torch.from_numpy(array) if kind == "tensor" else array[()]
    return _CONTAINERS[kind](_value(one, task) for one in rest)
