"""Patterns in braces that stand for several names: `train-{000000..000127}.tar`, `{train,val}.tar`."""

from __future__ import annotations

import re

MOST = 1_000_000
"""Largest number of names that a pattern may stand for."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBERS = re.compile(r"(\d+)\.\.(\d+)")


def has_braces(text: str) -> bool:
    """Whether a text holds a pattern in braces: a list with commas, or a range of numbers."""
    return any("," in found or _NUMBERS.fullmatch(found) for found in _BRACES.findall(text))


def expanded(text: str) -> list[str]:
    """The names that a pattern stands for, in its order; one without braces stands for itself.

    Numbers of a range have as many digits as its first: `{08..11}` is 08, 09, 10 and 11.

    Raises:
        ValueError: There are more than `MOST`.
    """
    names = [""]
    position = 0
    for found in _BRACES.finditer(text):
        choices = _choices(found[1])
        if choices is None:
            continue
        if len(names) * len(choices) > MOST:
            raise ValueError(f"{text} stands for more than {MOST} names")
        before = text[position : found.start()]
        names = [name + before + choice for name in names for choice in choices]
        position = found.end()
    return [name + text[position:] for name in names]


def _choices(inner: str) -> list[str] | None:
    """What stands between braces, as a list; None if the braces are part of a name."""
    numbers = _NUMBERS.fullmatch(inner)
    if numbers is None:
        return inner.split(",") if "," in inner else None
    first, last = int(numbers[1]), int(numbers[2])
    if abs(last - first) >= MOST:
        raise ValueError(f"{{{inner}}} stands for more than {MOST} names")
    step = 1 if last >= first else -1
    return [f"{number:0{len(numbers[1])}d}" for number in range(first, last + step, step)]
