"""Parts of the images of a prediction, for the jobs of an array; never imports torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from pixelwise.errors import RecipeError

Item = TypeVar("Item")


class Share(NamedTuple):
    """The part of all images that one job of an array predicts.

    Attributes:
        number: Number of the part, from 0 on.
        parts: Number of parts.
    """

    number: int
    parts: int

    @property
    def suffix(self) -> str:
        """What the names of the files of this part end in."""
        return f"-{self.number}-of-{self.parts}"

    def of(self, images: Sequence[Item]) -> Sequence[Item]:
        """The images of this part: those that follow each other, in parts that differ by at most one image."""
        count = len(images)
        return images[count * self.number // self.parts : count * (self.number + 1) // self.parts]


def parse_share(text: str) -> Share:
    """The part of a text such as `0/8`, the first of eight.

    Raises:
        RecipeError: R260, the text names no part.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text, re.ASCII)
    if found is None or int(found[1]) >= int(found[2]):
        raise RecipeError(
            "R260",
            f"`shard` is {text!r}; expected I/N with I from 0 to N - 1",
            "write `shard` as 0/8 for the first of 8 parts and 7/8 for the last",
        )
    return Share(int(found[1]), int(found[2]))
