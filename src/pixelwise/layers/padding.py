"""Making an image large enough for a network, inside the network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.sizes import ceil_divide, surely_equal


def pad_to(images: Tensor, height: int, width: int) -> Tensor:
    """Extend images at the bottom and on the right by repeating their last row and column.

    Repeating, because zeros would draw an edge that is not in the image (and in a network without
    mean normalisation they are black, the colour of an object). At the bottom and on the right,
    because then every pixel keeps its coordinates and cropping the logits undoes the padding.

    Args:
        images: (B, C, H, W), H <= height and W <= width, float.
        height: Height of the result.
        width: Width of the result.

    Returns:
        (B, C, height, width); `images` itself where nothing is to be added.
    """
    missing_rows, missing_columns = height - images.shape[-2], width - images.shape[-1]
    # While a network is exported for any size, the question stays open, so the graph pads always: perhaps by nothing.
    if surely_equal(missing_rows, 0) and surely_equal(missing_columns, 0):
        return images
    return F.pad(images, (0, missing_columns, 0, missing_rows), mode="replicate")


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Extend images, as `pad_to` does, to the next multiples of `multiple`.

    Args:
        images: (B, C, H, W) float.
        multiple: Of height and width.

    Returns:
        (B, C, H', W'); `images` itself where nothing is to be added.
    """
    height, width = images.shape[-2:]
    return pad_to(images, round_up(height, multiple), round_up(width, multiple))


def round_up(length: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `length`."""
    return ceil_divide(length, multiple) * multiple
