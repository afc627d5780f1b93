"""Indented JSON text."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


def json_text(value: Any, *, indent: int = 2, order: Literal["deterministic", "sorted"] | None = None) -> str:
    """`value` as indented JSON with a final line break; NaN becomes null.

    Args:
        value: Anything that msgspec can encode: structs, mappings, sequences, numbers, text.
        indent: Spaces per nesting level.
        order: Order of mapping keys and struct fields; None keeps their own order.
    """
    return msgspec.json.format(msgspec.json.encode(value, order=order), indent=indent).decode() + "\n"
