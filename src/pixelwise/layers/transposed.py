"""Transposed convolutions with a given output size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def transposed_to(conv: nn.ConvTranspose2d, features: Tensor, size: tuple[int, int]) -> Tensor:
    """Apply a transposed convolution so that its result has a given size; stride 2 allows two sizes per side.

    An exported graph cannot represent an output padding that depends on the size of the image. There, the larger
    size is computed and cropped: the smaller result is its upper left part.

    Args:
        conv: Transposed convolution with stride 2 and no output padding.
        features: (B, C, h, w) float.
        size: Height and width of the result.

    Returns:
        (B, C', *size).
    """
    if not torch.compiler.is_exporting():
        return conv(features, output_size=list(size))
    larger = F.conv_transpose2d(features, conv.weight, conv.bias, 2, conv.padding, (1, 1))  # type: ignore[arg-type]
    return larger[..., : size[0], : size[1]]
