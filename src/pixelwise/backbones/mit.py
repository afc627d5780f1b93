"""MiT, the Mix Transformer: the hierarchical encoder of SegFormer.

Xie et al., NeurIPS 2021, arXiv:2105.15203. Implemented from the paper and from the graph of its Apache-2.0
implementations (mmsegmentation, United Perception, Hugging Face transformers), whose weights fit.
Deviations:

- Feature maps are (B, H, W, C) between the layers: linear layers and normalisations read them as they are
  stored, and convolutions see the same memory as channels-last maps, so nothing is copied between the two.
- Keys and values come from one linear layer, and attention runs in PyTorch's fused kernel. The results
  equal those of separate layers up to rounding.
- A map smaller than the window of the sequence reduction is padded to one window by repeating its last
  row and column; the originals fail there. For every size that they accept, the results are the same.
- Linear layers start from a truncated normal distribution (0.02), convolutions from a normal one with
  variance 2 / fan-out: the published initialisation, also for the linear layers that mmsegmentation and
  United Perception write as 1x1 convolutions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.drop_path import drop_path, probabilities
from pixelwise.layers.padding import pad_to
from pixelwise.layers.sizes import longer


class _Variant(NamedTuple):
    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


_WIDE = (64, 128, 320, 512)
VARIANTS = {
    "mit_b0": _Variant((32, 64, 160, 256), (2, 2, 2, 2)),
    "mit_b1": _Variant(_WIDE, (2, 2, 2, 2)),
    "mit_b2": _Variant(_WIDE, (3, 4, 6, 3)),
    "mit_b3": _Variant(_WIDE, (3, 4, 18, 3)),
    "mit_b4": _Variant(_WIDE, (3, 8, 27, 3)),
    "mit_b5": _Variant(_WIDE, (3, 6, 40, 3)),
}
"""Name -> channels of the stages and number of blocks in each."""

STRIDES = (4, 8, 16, 32)
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
"""Side of the window that is reduced to one key and one value, per stage."""
EXPANSION = 4
"""Ratio of a feed-forward part's inner channels to its input channels."""
DROP_PATH = 0.1
"""Probability that the last block is skipped in training; it grows linearly from 0 at the first block."""
INITIAL_STD = 0.02


class OverlappingPatches(nn.Module):
    """Overlapping patch embedding: a strided convolution with overlapping windows, then normalisation.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels.
        kernel_size: Odd kernel size, larger than the stride.
        stride: Stride of the convolution.
        eps: Epsilon of the layer normalisation.
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2)
        self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, ceil(H / stride), ceil(W / stride), C')."""
        return self.norm(self.conv(features).permute(0, 2, 3, 1))


class EfficientAttention(nn.Module):
    """Self-attention from every position to a grid of windows, each of which is reduced to one position.

    Args:
        channels: Input and output channels.
        heads: Number of attention heads, a divisor of `channels`.
        reduction: Side of a window; 1: every position has its own key and value.
        eps: Epsilon of the layer normalisation after the reduction.
    """

    def __init__(self, channels: int, heads: int, reduction: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.window = reduction
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.output = nn.Linear(channels, channels)
        if reduction > 1:
            self.reduction = nn.Conv2d(channels, channels, kernel_size=reduction, stride=reduction)
            self.reduction_norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; last rows and columns that do not fill a window are not used as keys."""
        batch, height, width, channels = features.shape
        query = self.query(features).reshape(batch, height * width, self.heads, -1).transpose(1, 2)
        reduced = self._reduce(features).flatten(1, 2)
        key_value = self.key_value(reduced).reshape(batch, reduced.shape[1], 2, self.heads, -1)
        key, value = key_value.permute(2, 0, 3, 1, 4).unbind()
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.output(attended.transpose(1, 2).reshape(batch, height, width, channels))

    def _reduce(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to (B, H // window, W // window, C), at least one of each."""
        if self.window == 1:
            return features
        maps = features.permute(0, 3, 1, 2)
        height, width = maps.shape[-2:]
        maps = pad_to(maps, longer(height, self.window), longer(width, self.window))
        return self.reduction_norm(self.reduction(maps).permute(0, 2, 3, 1))


class MixFeedForward(nn.Module):
    """Linear layer, depthwise 3x3 convolution, GELU, linear layer.

    The convolution conveys the position, as MiT has no position embedding.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        self.expand = nn.Linear(channels, inner)
        self.depthwise = nn.Conv2d(inner, inner, kernel_size=3, padding=1, groups=inner)
        self.project = nn.Linear(inner, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        expanded = self.expand(features).permute(0, 3, 1, 2)
        return self.project(F.gelu(self.depthwise(expanded)).permute(0, 2, 3, 1))


class Block(nn.Module):
    """Attention and feed-forward part, each on the normalised input and added to it.

    Args:
        channels: Input and output channels.
        heads: Number of attention heads, a divisor of `channels`.
        reduction: Side of the attention's windows.
        drop_path: Probability that an image skips a part in training.
        eps: Epsilon of all layer normalisations.
    """

    def __init__(self, channels: int, heads: int, reduction: int, drop_path: float, eps: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attention = EfficientAttention(channels, heads, reduction, eps)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.feed_forward = MixFeedForward(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        features = features + self._skip(self.attention(self.norm1(features)))
        return features + self._skip(self.feed_forward(self.norm2(features)))

    def _skip(self, branch: Tensor) -> Tensor:
        return drop_path(branch, self.drop_path, self.training)


class Stage(nn.Module):
    """Patch embedding, transformer blocks, normalisation.

    Args:
        embedding: Patch embedding of the stage.
        blocks: Transformer blocks of the stage.
        channels: Channels of the embedding, the blocks and the result.
        eps: Epsilon of the last layer normalisation.
    """

    def __init__(self, embedding: OverlappingPatches, blocks: list[Block], channels: int, eps: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W'), channels last in memory."""
        return self.norm(self.blocks(self.embedding(features))).permute(0, 3, 1, 2)


class MiT(Encoder):
    """Mix Transformer: feature maps at strides 4, 8, 16 and 32, for images of any size.

    Args:
        name: Name of the variant, `mit_b0` to `mit_b5`.
        eps: Epsilon of every layer normalisation: 1e-6 in mmsegmentation and United Perception, 1e-5 in Hugging
            Face transformers.
        in_channels: Number of bands of the input images.

    Raises:
        RecipeError: R207, there is no such variant.
    """

    def __init__(self, name: str, eps: float = 1e-6, in_channels: int = 3) -> None:
        super().__init__()
        if name not in VARIANTS:
            raise RecipeError("R207", f"there is no MiT named '{name}'", f"choose one of {', '.join(VARIANTS)}")
        self.name = name
        variant = VARIANTS[name]
        self.channels: tuple[int, ...] = variant.channels
        self.strides: tuple[int, ...] = STRIDES
        self.multiple: int = 1
        stages: list[Stage] = []
        skipping = probabilities(variant.depths, DROP_PATH)
        for index, channels in enumerate(variant.channels):
            before = variant.channels[index - 1] if index else in_channels
            kernel_size, stride = (3, 2) if index else (7, 4)
            embedding = OverlappingPatches(before, channels, kernel_size, stride, eps)
            blocks = [Block(channels, HEADS[index], REDUCTIONS[index], skipped, eps) for skipped in skipping[index]]
            stages.append(Stage(embedding, blocks, channels, eps))
        self.stages = nn.ModuleList(stages)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(maps[-1] if maps else images))
        return maps


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INITIAL_STD)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


@register_encoder(*VARIANTS)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> MiT:
    """Build a MiT; the only output stride is 32, and all feature maps are returned."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return MiT(name, in_channels=in_channels)
