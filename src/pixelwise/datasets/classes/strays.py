"""Finds stray values: a few pixels in a few masks, as a slip of the pen or an editor leaves them."""

from __future__ import annotations

from collections.abc import Mapping

from pixelwise.recipes.class_sets.tables import IGNORE

_FEWEST_MASKS = 4
_SHARE_OF_PIXELS = 0.001
_SHARE_OF_MASKS = 0.05


def strays(pixels: Mapping[int, int], files: Mapping[int, tuple[int, str]], masks: int) -> list[int]:
    """Values, in increasing order, of less than 0.1 % of the pixels, in one mask or in less than 5 % of them.

    Args:
        pixels: Value -> number of pixels over all masks.
        files: Value -> number of masks that hold it, and the first of them.
        masks: Number of masks; too few tell nothing.
    """
    total = sum(pixels.values())
    if masks < _FEWEST_MASKS:
        return []
    found = [
        value
        for value, count in pixels.items()
        if value not in (0, IGNORE)
        and count < _SHARE_OF_PIXELS * total
        and (files[value][0] == 1 or files[value][0] < _SHARE_OF_MASKS * masks)
    ]
    # If most values are rare, rareness says nothing.
    return sorted(found) if 2 * len(found) < len(set(pixels) - {IGNORE}) else []
