"""Image sizes: (height, width) in code, `WIDTHxHEIGHT` in names and on the command line."""

from __future__ import annotations

from pixelwise.errors import RecipeError

Size = tuple[int, int]
"""(height, width) in pixels."""


def parse_size(text: str) -> Size:
    """(height, width) from a text such as `1024x768`, which has the width first, as in the names of protocols.

    Raises:
        RecipeError: R223, the text is not such a size.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise RecipeError("R223", f"'{text}' is not a size", "write WIDTHxHEIGHT, for example 1024x1024")
    return int(height), int(width)
