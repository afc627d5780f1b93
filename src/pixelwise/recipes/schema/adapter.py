"""The section on low-rank adapters of a frozen encoder."""

from __future__ import annotations

import re

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.base import Part, require, require_at_least


class Adapter(Part, frozen=True, kw_only=True):
    r"""Low-rank adaptation (LoRA; Hu et al. 2021, arXiv:2106.09685): layers of a frozen encoder learn a small addition.

    The weight W of such a layer stays, and W + alpha / rank * B A takes its place, of which A and B are trained.

    Attributes:
        rank: Number of rows of A and of columns of B; 0: there are no adapters.
        alpha: The addition is multiplied by alpha / rank; None: alpha is the rank, so that the factor is 1.
        layers: Regular expression that is searched for in the names of the encoder's linear layers and 1x1
            convolutions, such as `\.mlp\.fc[12]$`; None: those of attention, which compute
            its queries, keys, values and projections.
    """

    rank: int = 0
    alpha: float | None = None
    layers: str | None = None

    def __post_init__(self) -> None:
        require_at_least(0, "initialize.adapter.rank", self.rank, "for example 8; 0 is no adapter")
        require(
            self.alpha is None or self.alpha > 0,
            f"initialize.adapter.alpha is {self.alpha}; expected more than 0",
            "leave it out for the value of the rank",
        )
        try:
            re.compile(self.layers or "")
        except re.error as error:
            raise RecipeError(
                "R203",
                f"initialize.adapter.layers: '{self.layers}' is not a regular expression: {error}",
                r"for example \.mlp\.fc[12]$",
            ) from error

    @property
    def scale(self) -> float:
        """Factor on the addition, alpha / rank."""
        return 1.0 if self.alpha is None else self.alpha / self.rank
