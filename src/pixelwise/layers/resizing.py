"""Resizing of feature maps to the size of others."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pixelwise.layers.precision import at_least_float32
from pixelwise.layers.sizes import surely_equal


def same_size(features: Tensor, other: Tensor) -> bool:
    """Whether two maps are known to have the same height and width.

    Sizes that are unknown, as they may be in an export, count as different: resizing a map to its own size changes
    nothing.
    """
    return all(
        surely_equal(length, wanted) for length, wanted in zip(features.shape[-2:], other.shape[-2:], strict=True)
    )


def resize_to(features: Tensor, other: Tensor, *, align_corners: bool = False) -> Tensor:
    """Interpolate bilinearly to the size of another map.

    Args:
        features: (B, C, h, w) float.
        other: (B, D, H, W); only its size is used.
        align_corners: Whether the centres of the corner pixels of both maps coincide, rather than their outer edges.

    Returns:
        (B, C, H, W); `features` itself if it already has that size.
    """
    size = other.shape[-2:]
    if same_size(features, other):
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=align_corners)


def enlarge_smoothly(features: Tensor, other: Tensor) -> Tensor:
    """Interpolate bicubically to the size of another map, without aligned corners, in float32 at least.

    Args:
        features: (B, C, h, w) float.
        other: (B, D, H, W); only its size is used.

    Returns:
        (B, C, H, W), of the type of `features`; `features` itself if it already has that size.
    """
    if same_size(features, other):
        return features
    wide = at_least_float32(features)
    return F.interpolate(wide, size=other.shape[-2:], mode="bicubic", align_corners=False).to(features.dtype)
