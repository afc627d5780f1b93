"""JSON for people and programs to read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


def json_text(value: Any, *, indent: int = 2, order: Literal["deterministic", "sorted"] | None = None) -> str:
    """`value` as indented JSON with a line break at its end; NaN becomes null.

    Args:
        value: What msgspec can encode: structs, mappings, sequences, numbers, text.
        indent: Spaces per level.
        order: How the keys of mappings and the fields of structs are ordered; None: as they come.
    """
    return msgspec.json.format(msgspec.json.encode(value, order=order), indent=indent).decode() + "\n"
