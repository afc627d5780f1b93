"""Default input sizes of a recipe's network."""

from __future__ import annotations

from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size

DEFAULT_SIZE: Size = (512, 512)
"""(height, width) used if neither the recipe nor its data define a size."""


def input_size(recipe: Recipe) -> Size | None:
    """(height, width) of the network's input according to the recipe or the page it reproduces; None if data-dependent.

    The first of these that is defined: the size at which the original implementation counts its operations; that of
    the first evaluation protocol; `evaluation.input_size`; for the synthetic town, `data.town_size`.
    """
    original = recipe.published.original if recipe.published else None
    if original is not None:
        return original.size
    size = protocol(recipe.evaluation.protocols[0]).input_size or recipe.evaluation.input_size
    return recipe.data.town_size if size is None and recipe.data.dataset == "town" else size


def seen_size(recipe: Recipe) -> Size:
    """Default (height, width) for profiling, timing, exporting and quantizing a network.

    The `input_size` of the recipe; if that depends on the data, the size of the training crops (`augment.crop`);
    without crops, `DEFAULT_SIZE`.
    """
    return input_size(recipe) or recipe.augment.crop or DEFAULT_SIZE
