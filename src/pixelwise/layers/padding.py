"""Padding of images inside a network, for architectures that need a minimum size or multiples."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.sizes import ceil_divide, surely_equal


def pad_to(images: Tensor, height: int, width: int) -> Tensor:
    """Pad images at the bottom and on the right by repeating their last row and column.

    The border is repeated, because zeros would add an edge that is not in the image (and without mean
    normalisation zero is black, which may be the colour of an object). Padding at the bottom and on the
    right keeps the coordinates of every pixel, so that cropping the logits undoes it.

    Args:
        images: (B, C, H, W) float, H <= height and W <= width.
        height: Height of the padded images.
        width: Width of the padded images.

    Returns:
        (B, C, height, width); `images` itself if no padding is needed.
    """
    missing_rows, missing_columns = height - images.shape[-2], width - images.shape[-1]
    # In an export for any size the answer is unknown, so the graph always pads, possibly by 0.
    if surely_equal(missing_rows, 0) and surely_equal(missing_columns, 0):
        return images
    return F.pad(images, (0, missing_columns, 0, missing_rows), mode="replicate")


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pad images by `pad_to` to the next multiples of `multiple`.

    Args:
        images: (B, C, H, W) float.
        multiple: Number that divides the height and width of the result.

    Returns:
        (B, C, H', W'); `images` itself if no padding is needed.
    """
    height, width = images.shape[-2:]
    return pad_to(images, round_up(height, multiple), round_up(width, multiple))


def round_up(length: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `length`."""
    return ceil_divide(length, multiple) * multiple
