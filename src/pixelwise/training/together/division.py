"""How the micro-batches of a step are divided over processes.

A step sees the images that the recipe says, whatever the number of processes W. If `sampling.accumulate` is a multiple
of W, every process takes whole micro-batches, and computes what one process would compute for them. Otherwise every
micro-batch is split, and batch normalisation and losses add up over the processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pixelwise.errors import RecipeError
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.together.keys import Key, Keys

Kind = Literal["alone", "whole", "split"]


class Division(NamedTuple):
    """The part of a process in every step.

    Attributes:
        ranks: The processes.
        kind: `alone`: one process; `whole`: each takes whole micro-batches; `split`: each takes a part of every one.
    """

    ranks: Ranks = ALONE
    kind: Kind = "alone"

    @classmethod
    def of(cls, recipe: Recipe, ranks: Ranks) -> Division:
        """The division of a recipe's steps.

        Raises:
            RecipeError: R229, the step has fewer images than there are processes, or a part of the recipe is not
                defined for several processes.
        """
        if ranks.world == 1:
            return ALL
        sampling = recipe.sampling
        images = sampling.batch_size * sampling.accumulate
        if images < ranks.world:
            raise RecipeError(
                "R229",
                f"a step has {images} images (sampling.batch_size={sampling.batch_size}, sampling.accumulate="
                f"{sampling.accumulate}) for {ranks.world} processes",
                f"start at most {images} processes, or raise sampling.batch_size",
            )
        if recipe.precision.compile:
            raise RecipeError(
                "R229",
                f"precision.compile=true is not defined for {ranks.world} processes: their batch normalisation is not "
                "part of the compiled network",
                "set precision.compile=false precision.cuda_graphs=false",
            )
        if recipe.quantization != "none":
            raise RecipeError(
                "R229",
                f"quantization={recipe.quantization} measures the ranges of activations, and each of {ranks.world} "
                "processes would measure those of its own images",
                "train with one process: it begins with trained weights, and is short",
            )
        if sampling.accumulate % ranks.world == 0:
            return cls(ranks, "whole")
        alone = [f"loss.{term.name}" for term in recipe.loss.active_terms() if not term.over_ranks]
        if alone:
            whole = f"sampling.batch_size={max(1, images // ranks.world)} sampling.accumulate={ranks.world}"
            raise RecipeError(
                "R229",
                f"{' and '.join(alone)} cannot be added up over the {ranks.world} processes that share a batch",
                f"give every process whole batches, for example {whole}",
            )
        return cls(ranks, "split")

    def batches(self, accumulate: int) -> int:
        """Number of batches of this process in a step of `accumulate` micro-batches."""
        return accumulate // self.ranks.world if self.kind == "whole" else accumulate

    def takes(self, micro: int, accumulate: int) -> bool:
        """Whether this process takes a part of a micro-batch.

        Args:
            micro: Number of the micro-batch in its step, from 0.
            accumulate: Micro-batches per step.
        """
        if self.kind != "whole":
            return True
        share = accumulate // self.ranks.world
        return self.ranks.rank * share <= micro < (self.ranks.rank + 1) * share

    def part(self, keys: Sequence[Key]) -> Keys:
        """This process's images of a micro-batch.

        Where a micro-batch, the last one of an epoch, has fewer images than there are processes, all of them compute
        all of it.
        """
        number, world, rank = len(keys), self.ranks.world, self.ranks.rank
        if self.kind != "split" or number < world:
            return Keys(keys, repeated=self.kind == "split")
        stop = (rank + 1) * number // world
        return Keys(keys[rank * number // world : stop], following=keys[stop % number], total=number)


ALL = Division()
"""The division of a process that works alone: it takes everything."""
