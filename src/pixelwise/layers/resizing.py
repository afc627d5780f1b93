"""Feature maps at the size of others."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.sizes import surely_equal


def same_size(features: Tensor, other: Tensor) -> bool:
    """Whether two maps are known to have the same height and width.

    Unknown, as sizes may be while a network is exported, counts as no: resizing to the size that a map has
    changes nothing.
    """
    return all(
        surely_equal(length, wanted) for length, wanted in zip(features.shape[-2:], other.shape[-2:], strict=True)
    )


def resize_to(features: Tensor, other: Tensor, *, align_corners: bool = False) -> Tensor:
    """Interpolate bilinearly to the size of another map.

    Args:
        features: (B, C, h, w).
        other: (B, D, H, W).
        align_corners: Whether the centres of the corner pixels of both maps lie on each other, not their outer edges.

    Returns:
        (B, C, H, W); `features` itself if it has that size.
    """
    size = other.shape[-2:]
    if same_size(features, other):
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=align_corners)
