"""Random colour of a training image as one matrix, 3x4 for RGB, applied to the whole batch on its device.

This is not torchvision's ColorJitter: there is no clamping between the steps and contrast turns
around mid-grey instead of the image's mean, so that the steps fold into one matrix.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pixelwise.recipes.schema import Augment

# ITU-R BT.601 luma
LUMA = np.array([0.299, 0.587, 0.114])


def has_color(augment: Augment) -> bool:
    """Whether `augment` changes colours at all."""
    return any((augment.brightness, augment.contrast, augment.saturation, augment.channel_gain))


def draw_color_matrix(augment: Augment, random: np.random.Generator, channels: int = 3) -> np.ndarray:
    """A float32 (C, C + 1) matrix M: `new = M[:, :C] @ old + M[:, C]` for values in 0..1.

    Args:
        augment: What to draw.
        random: Decides everything.
        channels: C; only of three, which are RGB, is the saturation changed.
    """

    def factor(amount: float) -> float:
        return random.uniform(1 - amount, 1 + amount)

    brightness, contrast, saturation = (
        factor(augment.brightness),
        factor(augment.contrast),
        factor(augment.saturation),
    )
    gains = np.array([factor(augment.channel_gain) for _ in range(channels)])
    mix = np.eye(channels)
    if channels == 3:
        mix = saturation * mix + (1 - saturation) * np.ones((3, 1)) * LUMA
    linear = brightness * contrast * gains[:, None] * mix
    offset = np.full((channels, 1), 0.5 * (1 - contrast))
    return np.concatenate([linear, offset], axis=1).astype(np.float32)


def apply_color(images: Tensor, matrices: Tensor) -> Tensor:
    """Apply one matrix per image and clamp to 0..1.

    Args:
        images: float (B, C, H, W) in 0..1.
        matrices: float (B, C, C + 1), as `draw_color_matrix` makes them.
    """
    channels = images.shape[1]
    changed = torch.baddbmm(matrices[:, :, channels:], matrices[:, :, :channels], images.flatten(2))
    return changed.clamp_(0, 1).reshape(images.shape)
