"""Numbers of bytes as people write them, such as `1GB`."""

from __future__ import annotations

import re

_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)\s*", re.ASCII | re.IGNORECASE)
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_byte_count(text: str) -> int:
    """Number of bytes from a text such as `1GB` (1000^3), `1.5 GiB` (1024^3) or `4096`.

    Raises:
        ValueError: The text is no such number.
    """
    found = _TEXT.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise ValueError(f"'{text}' is not a number of bytes")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _EXPONENT[found[2].lower()])
