"""At which size a recipe's network sees an image where nobody says one."""

from __future__ import annotations

from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size

DEFAULT_SIZE: Size = (512, 512)
"""(height, width) where neither the recipe nor its data name a size."""


def input_size(recipe: Recipe) -> Size | None:
    """(height, width) that a recipe or the page it reproduces says of the images; None where the data decide it.

    It is the first of these that there is: the size at which the original implementation counts its network; that of
    the first evaluation protocol; `evaluation.input_size`; for the synthetic town, `data.town_size`.
    """
    original = recipe.published.original if recipe.published else None
    if original is not None:
        return original.size
    size = protocol(recipe.evaluation.protocols[0]).input_size or recipe.evaluation.input_size
    return recipe.data.town_size if size is None and recipe.data.dataset == "town" else size


def seen_size(recipe: Recipe) -> Size:
    """(height, width) at which a network is profiled, timed, exported and quantized where the caller names no size.

    The `input_size` of the recipe; where the data decide that, the size of the crops it is trained on
    (`augment.crop`); without them `DEFAULT_SIZE`.
    """
    return input_size(recipe) or recipe.augment.crop or DEFAULT_SIZE
