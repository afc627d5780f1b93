"""Indented JSON text."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

import msgspec

from pixelwise.storage.names import printable


def json_text(value: Any, *, indent: int = 2, order: Literal["deterministic", "sorted"] | None = None) -> str:
    """`value` as indented JSON with a final line break; NaN becomes null.

    Args:
        value: Anything that msgspec can encode: structs, mappings, sequences, numbers, text; paths become text.
        indent: Spaces per nesting level.
        order: Order of mapping keys and struct fields; None keeps their own order.
    """
    return msgspec.json.format(msgspec.json.encode(value, order=order, enc_hook=_plain), indent=indent).decode() + "\n"


def _plain(value: Any) -> str:
    """A path as text."""
    if isinstance(value, PurePath):
        return printable(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be written as JSON")
