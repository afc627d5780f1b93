"""The order in which the values of a map lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def fastest_to_learn(images: Tensor) -> Tensor:
    """Images in the order in which a network of few channels learns fastest on a processor: channels last.

    Convolutions, pooling and batch normalisation of PyTorch keep this order from layer to layer, and take it up to
    several times as fast for maps of 4 to 128 channels as one channel after the other. Values differ in rounding alone.
    What is recorded as a graph, what is computed in half precision (whose convolutions are another matter:
    docs/performance.md) and what is on another device stays as it is: the recipe's `precision.channels_last` decides.

    Args:
        images: (B, C, H, W) float.

    Returns:
        The same values, (B, C, H, W).
    """
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    half = torch.is_autocast_enabled("cpu") or images.dtype not in (torch.float32, torch.float64)
    if images.device.type != "cpu" or recorded or half:
        return images
    return images.contiguous(memory_format=torch.channels_last)
