"""Random colour of a training image as one 3x4 matrix, applied to the whole batch on its device.

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


def draw_color_matrix(augment: Augment, random: np.random.Generator) -> np.ndarray:
    """A float32 (3, 4) matrix M: `new = M[:, :3] @ rgb + M[:, 3]` for RGB in 0..1."""

    def factor(amount: float) -> float:
        return random.uniform(1 - amount, 1 + amount)

    brightness, contrast, saturation = (
        factor(augment.brightness),
        factor(augment.contrast),
        factor(augment.saturation),
    )
    gains = np.array([factor(augment.channel_gain) for _ in range(3)])
    mix = saturation * np.eye(3) + (1 - saturation) * np.ones((3, 1)) * LUMA
    linear = brightness * contrast * gains[:, None] * mix
    offset = np.full((3, 1), 0.5 * (1 - contrast))
    return np.concatenate([linear, offset], axis=1).astype(np.float32)


def apply_color(images: Tensor, matrices: Tensor) -> Tensor:
    """Apply one matrix per image and clamp to 0..1.

    Args:
        images: float (B, 3, H, W) in 0..1.
        matrices: float (B, 3, 4), as `draw_color_matrix` makes them.
    """
    changed = torch.baddbmm(matrices[:, :, 3:], matrices[:, :, :3], images.flatten(2))
    return changed.clamp_(0, 1).reshape(images.shape)
