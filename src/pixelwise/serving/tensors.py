"""Tensors of the open inference protocol, as JSON or as bytes after it."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from pixelwise.serving.problems import Problem

HEADER_LENGTH = "Inference-Header-Content-Length"
"""Header with the length of the JSON part, if bytes follow it."""
_LENGTH = struct.Struct("<I")
_TYPES = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}


class Output(msgspec.Struct, frozen=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class Tensor(msgspec.Struct):
    """An input.

    Attributes:
        name: Its name.
        shape: Its shape.
        datatype: `UINT8` or `BYTES`; others are refused.
        parameters: `binary_data_size`, if its bytes follow the JSON part.
        data: Its values, if they are in the JSON part: numbers, nested or not; files are base64.
        content: Its bytes, if they follow.
    """

    name: str
    shape: tuple[Annotated[int, Meta(ge=0, le=2**31)], ...]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None
    content: bytes | None = None

    def values(self) -> bytes:
        """The bytes of a UINT8 tensor.

        Raises:
            Problem: R291, they do not fit its shape, or are no bytes.
        """
        values = _bytes_of(self.data) if self.content is None else self.content
        if values is None or len(values) != math.prod(self.shape):
            found = "other values than 0 to 255" if values is None else f"{len(values)} values"
            raise bad(f"the input {self.name!r} of the shape {list(self.shape)} has {found}")
        return values

    def elements(self) -> Sequence[bytes]:
        """The elements of a BYTES tensor.

        Raises:
            Problem: R291, they are malformed.
        """
        if self.content is not None:
            return _split(self.content, self.name)
        try:
            return [base64.b64decode(text, validate=True) for text in self.data or ()]
        except (TypeError, ValueError, binascii.Error) as error:
            raise bad(f"the input {self.name!r} is not base64, which files in JSON have to be") from error


class InferRequest(msgspec.Struct, frozen=True):
    """A request for predictions."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Output] = []


_decode = msgspec.json.Decoder(InferRequest).decode


def bad(message: str) -> Problem:
    """R291 for a request that is not what the protocol has."""
    return Problem(400, "R291", message, "docs/deployment.md describes the inputs and outputs")


def read_request(body: bytes, header_length: str | None) -> InferRequest:
    """A request with its tensors.

    Args:
        body: The JSON part, and after it the bytes of tensors.
        header_length: The header that states the length of the JSON part; None if the body is nothing else.

    Raises:
        Problem: R291, it is malformed.
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or not 0 < int(header_length) <= len(body):
            raise bad(f"{HEADER_LENGTH} is {header_length!r}, but the body has {len(body)} bytes")
        length = int(header_length)
    try:
        found = _decode(memoryview(body)[:length])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise bad(f"the JSON part is malformed: {error}") from error
    position = length
    for one in found.inputs:
        one.content = None  # a client does not set it
        size = one.parameters.get("binary_data_size")
        if size is None:
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(body) - position:
            raise bad(f"the input {one.name!r} has {size!r} bytes, but {len(body) - position} are left")
        one.content = body[position : position + size]
        position += size
    if position != len(body):
        raise bad(f"{len(body) - position} bytes after the JSON part belong to no input")
    return found


def _split(content: bytes, name: str) -> list[bytes]:
    """Elements, each after its length in four bytes."""
    elements, position = [], 0
    while position < len(content):
        if len(content) - position < _LENGTH.size:
            raise bad(f"the input {name!r} ends within a length")
        (size,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        if size > len(content) - position:
            raise bad(f"the input {name!r} has an element of {size} bytes, but {len(content) - position} are left")
        elements.append(content[position : position + size])
        position += size
    return elements


def _bytes_of(data: list[Any] | None) -> bytes | None:
    """Numbers 0 to 255, nested or not, as bytes; None if there are others."""
    try:
        values = np.array([] if data is None else data)
    except (ValueError, OverflowError, RecursionError):  # ragged, or too deep
        return None
    if not values.size:
        return b""
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        return None
    return values.astype(np.uint8).tobytes()


def tensor_document(name: str, datatype: str, shape: Sequence[int], content: bytes, *, binary: bool) -> dict[str, Any]:
    """An output as JSON.

    Args:
        name: Its name.
        datatype: `UINT8` or `FP32`.
        shape: Its shape.
        content: Its bytes, little-endian.
        binary: Whether they follow the JSON part.
    """
    document: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
    if binary:
        return document | {"parameters": {"binary_data_size": len(content)}}
    return document | {"data": np.frombuffer(content, _TYPES[datatype]).tolist()}
