"""Who does a part of the images: jobs of an array, and workers of Ray; never imports torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from pixelwise.errors import RecipeError

EngineName = Literal["here", "ray"]
"""`here`: this process; `ray`: workers of Ray, on this machine or a cluster."""

Item = TypeVar("Item")


class Share(NamedTuple):
    """The part of all images that one job of an array does.

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


class ClusterOptions(Protocol):
    """Options of a verb whose work Ray can do; `PredictOptions` describes them."""

    @property
    def engine(self) -> EngineName:
        """Who does the work."""
        ...

    @property
    def workers(self) -> int | None:
        """Number of workers; None for as many as there is room for."""
        ...

    @property
    def gpus_per_worker(self) -> float:
        """Number of GPUs of each."""
        ...

    @property
    def address(self) -> str | None:
        """Address of a cluster; None for this machine."""
        ...


def refuse_without_ray(options: ClusterOptions, help: str) -> None:
    """Check that options for Ray are given together with it.

    Args:
        options: The options.
        help: What to do otherwise.

    Raises:
        RecipeError: R251, they are given without it.
    """
    for_ray = options.workers is not None or options.address is not None or options.gpus_per_worker
    if options.engine == "here" and for_ray:
        raise RecipeError("R251", "`workers`, `address` and `gpus_per_worker` are for Ray", help)
