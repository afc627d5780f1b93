"""The built-in evaluation protocols whose names contain numbers, such as `slide-512x512`."""

from __future__ import annotations

import re

from pixelwise.recipes.protocols import Protocol, register_family

_SIDES = re.compile(r"([a-z]+)-([1-9]\d*)x([1-9]\d*)")


def _sides(name: str, family: str) -> tuple[int, int] | None:
    """The two numbers of a name such as `slide-24x16`; None if it is not one of the family."""
    found = _SIDES.fullmatch(name)
    return (int(found[2]), int(found[3])) if found is not None and found[1] == family else None


@register_family("within-LONGERxSHORTER")
def _bounds(name: str) -> Protocol | None:
    """Bounds for the sides of images, which may be landscape or portrait, as in `within-928x704`."""
    sides = _sides(name, "within")
    if sides is None:
        return None
    longer, shorter = max(sides), min(sides)
    return Protocol(
        name=name,
        summary=f"longer side {longer} unless the shorter one would exceed {shorter}, logits to the label file's own "
        "size",
        fit=(shorter, longer),
        resampling="area",
    )


@register_family("slide-WIDTHxHEIGHT")
def _windows(name: str) -> Protocol | None:
    """Windows of any size with a stride of three quarters of it, as in `slide-1024x1024`."""
    sides = _sides(name, "slide")
    if sides is None:
        return None
    width, height = sides
    across, down = max(1, width * 3 // 4), max(1, height * 3 // 4)
    return Protocol(
        name=name,
        summary=f"windows of {width}x{height}, {across} apart across and {down} down, their logits averaged, at the "
        "label file's own size",
        window=(height, width),
        window_stride=(down, across),
    )


_SHORT_SIDE = re.compile(r"short-side-([1-9]\d*)")


@register_family("short-side-PIXELS")
def _short_side(name: str) -> Protocol | None:
    """Squares along the longer side, as few as cover it, as EoMT is evaluated: `short-side-512`."""
    found = _SHORT_SIDE.fullmatch(name)
    if found is None:
        return None
    side = int(found[1])
    return Protocol(
        name=name,
        summary=f"shorter side {side}, as few windows of {side}x{side} as cover the longer one, evenly spaced, their "
        "scores averaged and brought to the label file's own size",
        fit=(side, None),
        resampling="linear",
        window=(side, side),
        even_windows=True,
    )
