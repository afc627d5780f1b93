"""Transposed convolutions to a given size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def transposed_to(conv: nn.ConvTranspose2d, features: Tensor, size: tuple[int, int]) -> Tensor:
    """The transposed convolution of that size, one of the two per side that a stride of 2 allows.

    An exported graph has no place for an output padding that depends on the size of the image. There, the larger
    size is computed and cropped: the smaller one is its upper left part.

    Args:
        conv: Of stride 2, without output padding.
        features: (B, C, h, w).
        size: Height and width of the result.

    Returns:
        (B, C', *size).
    """
    if not torch.compiler.is_exporting():
        return conv(features, output_size=list(size))
    larger = F.conv_transpose2d(features, conv.weight, conv.bias, 2, conv.padding, (1, 1))  # type: ignore[arg-type]
    return larger[..., : size[0], : size[1]]
