"""uint8 images to the float input of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelwise.recipes.specs import Preprocessing


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """`(images / 255 - mean) / std`, channels moved to the front.

    Args:
        images: (B, H, W, 3) uint8, RGB; on any device.
        preprocessing: The network's mean and standard deviation per channel.

    Returns:
        (B, 3, H, W) float32, contiguous, on the same device.
    """
    normalized = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    normalized = normalized.div_(255)
    # Numbers instead of a (3, 1, 1) tensor: creating one on a GPU would wait for it at every batch.
    for channel, (mean, std) in enumerate(zip(preprocessing.mean, preprocessing.std, strict=True)):
        normalized[:, channel].sub_(mean).div_(std)
    return normalized
