"""Puts the outputs of trained weights in the order of another network's classes, by the classes' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pixelwise.datasets.classes.agreement import order_of
from pixelwise.errors import PixelwiseError
from pixelwise.models import build_model
from pixelwise.recipes.schema.recipe import Recipe


def in_order_of(
    tensors: Mapping[str, Tensor], recipe: Recipe, classes: Sequence[str], wanted: Sequence[str]
) -> dict[str, Tensor] | None:
    """The tensors of a network whose classes are in another order, as the network of the wanted order has them.

    Args:
        tensors: Tensors of the network of `recipe`, by name.
        recipe: Recipe of the trained network.
        classes: Class names of the trained network, in the order of its outputs.
        wanted: Class names in the wanted order.

    Returns:
        Tensors with outputs in the wanted order; None if the names are others or in this order already.
    """
    order = order_of(wanted, classes)
    if order is None or order == tuple(range(len(order))):
        return None
    axes = _class_axes(recipe, len(classes))
    index = torch.tensor(order)
    found = dict(tensors)
    for key in axes.keys() & tensors.keys():
        for axis in axes[key]:
            found[key] = found[key].index_select(axis, index.to(found[key].device))
    return found


def _class_axes(recipe: Recipe, number: int) -> dict[str, tuple[int, ...]]:
    """Name of each tensor that depends on the number of classes -> the axes along which the classes lie."""
    try:
        # No weights are needed to compare shapes.
        with torch.device("meta"):
            sizes = [
                {key: tuple(value.shape) for key, value in build_model(recipe.model, count).state_dict().items()}
                for count in (number, number + 1)
            ]
    except PixelwiseError:
        return {}
    return {
        key: tuple(axis for axis, (one, other) in enumerate(zip(shape, sizes[1][key], strict=True)) if one != other)
        for key, shape in sizes[0].items()
        if key in sizes[1] and shape != sizes[1][key] and len(shape) == len(sizes[1][key])
    }
