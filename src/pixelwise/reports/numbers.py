"""Formatting of numbers for readers; the only place where they are rounded, besides the views of objects."""

from __future__ import annotations

import math

from pixelwise.views import NOT_AVAILABLE as NOT_AVAILABLE
from pixelwise.views import percent as percent


def share(fraction: float) -> str:
    """A share in percent with at least two significant digits: `26.8`, `0.66`, `0.0070`."""
    value = 100 * fraction
    if math.isnan(value):
        return NOT_AVAILABLE
    if value == 0:
        return "0"
    digits = 1 if value >= 10 else 2 if value >= 0.1 else 1 - math.floor(math.log10(value))
    return f"{value:.{digits}f}"


def count(number: int) -> str:
    """`40262400` -> `40 262 400`, with narrow no-break spaces."""
    return f"{number:,}".replace(",", "\u202f")


def many(number: int, unit: str) -> str:
    """`1 step`, `40 262 400 steps`: a count with a noun whose plural ends in s."""
    return f"{count(number)} {unit}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`4000` -> `1 h 7 min`; `75` -> `1 min 15 s`; `3.21` -> `3.2 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def memory(size: int) -> str:
    """`1610612736` -> `1.5 GiB`; in MiB below 1 GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def speed(per_second: float) -> str:
    """`14.23` -> `14.2`: three significant digits."""
    return f"{per_second:.0f}" if per_second >= 100 else f"{per_second:.3g}"


def pace(per_second: float) -> str:
    """`14.23` -> `14.2`, `0.0212` -> `0.021`: one digit after the point, below 1 two that say something."""
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2g}"
