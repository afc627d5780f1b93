"""About how large a network is, known before it is built: modules that list the tests cannot build all of them."""

from __future__ import annotations

import torch

from pixelwise.models import build_model
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.zoo.queries import number


def parameters(name: str) -> float:
    """Number of parameters of the original of a recipe; of a recipe without one, or of a family, counted here."""
    if name in list_recipes():
        published = recipe(name).published
        if published is not None and published.original is not None:
            return number(published.original.parameters)
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(name, 5).parameters())
