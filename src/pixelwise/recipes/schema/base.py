"""The base class of a recipe's sections, and the checks of their values."""

from __future__ import annotations

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.sizes import Size

Range = tuple[float, float]


def require(condition: bool, message: str, help: str) -> None:
    """Refuse a recipe with `message` and `help` (R203) unless `condition` holds."""
    if not condition:
        raise RecipeError("R203", message, help)


def require_at_least(least: int, field: str, value: float | None, help: str) -> None:
    """Refuse a value below `least`; None passes."""
    require(value is None or value >= least, f"{field} is {value}; expected {least} or more", help)


def require_positive(field: str, value: float, help: str) -> None:
    """Refuse values of 0 or less."""
    require(value > 0, f"{field} is {value}; expected more than 0", help)


def require_below_one(field: str, value: float, help: str) -> None:
    """Refuse values below 0, and values of 1 or more."""
    require(0 <= value < 1, f"{field} is {value}; expected 0 or more and less than 1", help)


def require_share(field: str, value: float, help: str) -> None:
    """Refuse values outside 0..1."""
    require(0 <= value <= 1, f"{field} is {value}; expected 0..1", help)


def require_size(field: str, size: Size | None) -> None:
    """Refuse a (height, width) without pixels; None passes."""
    require(
        size is None or min(size) >= 1,
        f"{field} is {list(size or ())}; expected a height and a width of 1 or more",
        "for example [360, 480]",
    )


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a recipe's sections: immutable, unknown fields refused."""
