"""Conversion of uint8 images with any number of channels into the float input of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.recipes.schema.model import Preprocessing


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """`(images / 255 - mean) / std`, channels moved to the front.

    Args:
        images: (B, H, W, C) uint8, RGB or the channels of `data.channels`; on any device.
        preprocessing: Mean and standard deviation per channel.

    Returns:
        (B, C, H, W) float32, contiguous, on the same device.
    """
    return standardize_(to_unit_range(images), preprocessing)


def to_unit_range(images: Tensor) -> Tensor:
    """(B, H, W, C) uint8 to (B, C, H, W) float32 in 0..1, contiguous."""
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def standardize_(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """`(images - mean) / std` in place, for float (B, C, H, W) in 0..1; returns `images`."""
    # Python floats instead of a (C, 1, 1) tensor: creating one on a GPU would synchronise with it at every batch.
    for channel, (mean, std) in enumerate(zip(preprocessing.mean, preprocessing.std, strict=True)):
        images[:, channel].sub_(mean).div_(std)
    return images


def renormalisation(
    ours: Preprocessing, theirs: Preprocessing, device: torch.device
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Factor and summand (C, 1, 1) that turn images normalised for one network into those for another."""
    if ours == theirs:
        return None, None
    own_mean, own_std, mean, std = (
        torch.tensor(values, dtype=torch.float64)[:, None, None]
        for values in (ours.mean, ours.std, theirs.mean, theirs.std)
    )
    return (own_std / std).float().to(device), ((own_mean - mean) / std).float().to(device)
