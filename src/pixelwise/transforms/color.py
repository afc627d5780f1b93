"""Random colour augmentation as one matrix per image, 3x4 for RGB, applied to the whole batch on its device.

It differs from torchvision's ColorJitter: there is no clamping between the steps, contrast changes around mid-grey
instead of the image's mean, and hue is rotated in YIQ instead of HSV, so that all steps fold into one matrix.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from pixelwise.recipes.schema.recipe import Augment

# ITU-R BT.601 luma
LUMA = np.array([0.299, 0.587, 0.114])
# NTSC: luma, and the two axes of the plane of hue and saturation.
_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_OPENCV_CHANNELS = (3, 4)
"""Channel counts for which OpenCV has vector code."""


def has_color(augment: Augment) -> bool:
    """Whether `augment` changes colours at all."""
    return any((augment.brightness, augment.contrast, augment.saturation, augment.hue, augment.channel_gain))


def draw_color_matrix(augment: Augment, random: np.random.Generator, channels: int = 3) -> np.ndarray:
    """Draw a float32 (C, C + 1) matrix M: `new = M[:, :C] @ old + M[:, C]` for values in 0..1.

    Args:
        augment: Augmentation section of a recipe.
        random: Random generator to draw from.
        channels: Number of channels C; saturation and hue change only if there are three (RGB).
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
        if augment.hue:
            mix = hue_matrix(random.uniform(-augment.hue, augment.hue)) @ mix
    linear = brightness * contrast * gains[:, None] * mix
    offset = np.full((channels, 1), 0.5 * (1 - contrast))
    return np.concatenate([linear, offset], axis=1).astype(np.float32)


def hue_matrix(turn: float) -> np.ndarray:
    """(3, 3) RGB matrix that rotates colours by `turn` of a full circle around the grey axis and keeps their luma."""
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    rotation = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return np.linalg.solve(_YIQ, rotation @ _YIQ)


def apply_color(images: Tensor, matrices: Tensor) -> Tensor:
    """Apply one matrix per image and clamp to 0..1.

    Args:
        images: float (B, C, H, W) in 0..1.
        matrices: float (B, C, C + 1), as returned by `draw_color_matrix`.
    """
    channels = images.shape[1]
    changed = torch.baddbmm(matrices[:, :, channels:], matrices[:, :, :channels], images.flatten(2))
    return changed.clamp_(0, 1).reshape(images.shape)


def colored_input(
    images: Tensor, matrices: Tensor, mean: tuple[float, ...], std: tuple[float, ...], *, channels_last: bool = False
) -> Tensor:
    """The network's input: `(clamp(M x / 255) - mean) / std`, with everything but the clamp folded into one matrix.

    Equal to `apply_color` followed by normalisation, within float rounding, in a third of the time.

    Args:
        images: uint8 (B, H, W, C), on any device.
        matrices: float32 (B, C, C + 1) on the CPU, as returned by `draw_color_matrix`.
        mean: Mean per channel, for values in 0..1.
        std: Standard deviation per channel, for values in 0..1.
        channels_last: Whether the result has the memory format `torch.channels_last`.

    Returns:
        float32 (B, C, H, W) on the device of `images`.
    """
    folded, lowest, highest = _fold(matrices, mean, std)
    if images.device.type == "cpu" and images.shape[3] in _OPENCV_CHANNELS:
        return _colored_by_opencv(images, folded, lowest, highest, channels_last)
    channels = images.shape[3]
    # One transfer: making tensors on the GPU from Python numbers would synchronise with it at every batch.
    bounds = torch.stack([lowest, highest], 1).expand(len(folded), channels, 2)
    moved = torch.cat([folded, bounds], 2).to(images.device, non_blocking=True)
    values = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    mixed = torch.baddbmm(moved[:, :, channels : channels + 1], moved[:, :, :channels], values.flatten(2))
    mixed = torch.clamp(mixed, moved[:, :, -2:-1], moved[:, :, -1:]).reshape(values.shape)
    return mixed.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def _fold(matrices: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices from uint8 values to normalised ones, and the normalised values of 0 and 1 of every channel."""
    means, spreads = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    scaled = matrices.to(torch.float64) / spreads[:, None]
    scaled[:, :, :-1] /= 255
    scaled[:, :, -1] -= means / spreads
    return scaled.float(), (-means / spreads).float(), ((1 - means) / spreads).float()


def _colored_by_opencv(images: Tensor, folded: Tensor, lowest: Tensor, highest: Tensor, channels_last: bool) -> Tensor:
    """Compute `colored_input` on the CPU, where BLAS is slow for matrix products with three columns."""
    count, height, width, channels = images.shape
    # Bounds for a whole row instead of one pixel: vector code needs long inner loops.
    low, high = lowest.repeat(width), highest.repeat(width)
    shape = (count, height, width, channels) if channels_last else (count, channels, height, width)
    result = torch.empty(shape)
    for image, matrix, target in zip(images.numpy(), folded.numpy(), result.numpy(), strict=True):
        mixed = cv2.transform(image.astype(np.float32), matrix, dst=target if channels_last else None)
        rows = torch.from_numpy(mixed).view(height, -1)
        torch.clamp(rows, low, high, out=rows)
        if not channels_last:
            cv2.split(mixed, list(target))
    return result.permute(0, 3, 1, 2) if channels_last else result
