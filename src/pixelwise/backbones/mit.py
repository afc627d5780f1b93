"""MiT, the Mix Transformer: the hierarchical encoder of SegFormer.

Xie et al., NeurIPS 2021, arXiv:2105.15203. Written from the paper and from the graph of its Apache-2.0
implementations (mmsegmentation, United Perception, Hugging Face transformers), whose weights fit.
Deviations:

- Maps are (B, H, W, C) between the layers: linear layers and normalisations read them as they lie, and
  convolutions see the same memory as channels-last maps, so nothing is copied between the two.
- Keys and values come from one linear layer, and attention runs in PyTorch's fused kernel. The numbers
  are those of separate layers, up to rounding.
- A map smaller than the window of the sequence reduction is enlarged to one window by repeating its last
  row and column; the originals fail there. Every size that they accept gives what they give.
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
"""Side of the window of which one key and one value are made, per stage."""
EXPANSION = 4
"""Channels inside a feed-forward part / outside."""
DROP_PATH = 0.1
"""Probability that the last block is skipped in training; it grows linearly from 0 at the first."""
INITIAL_STD = 0.02


class OverlappingPatches(nn.Module):
    """Strided convolution with overlapping windows, then normalisation.

    Args:
        in_channels: Of the input.
        channels: Of the result.
        kernel_size: Odd, above the stride.
        stride: Of the windows.
        eps: Of the normalisation.
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int, eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2)
        self.norm = nn.LayerNorm(channels, eps=eps)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, ceil(H / stride), ceil(W / stride), C')."""
        return self.norm(self.conv(features).permute(0, 2, 3, 1))


class EfficientAttention(nn.Module):
    """Self-attention of all places to a grid of windows that are reduced to one place each.

    Args:
        channels: Of input and result.
        heads: Divides `channels`.
        reduction: Side of a window; 1: every place is a key and a value of its own.
        eps: Of the normalisation after the reduction.
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
        """(B, H, W, C) to the same shape; a last row or column that fills no window is no key."""
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
    """Linear, depthwise 3x3 (which tells places apart: MiT has no position embedding), GELU, linear.

    Args:
        channels: Of input and result.
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
    """Attention and feed-forward part, each normalised before and added to its input.

    Args:
        channels: Of input and result.
        heads: Of the attention.
        reduction: Side of the attention's windows.
        drop_path: Probability that an image skips a part in training.
        eps: Of the normalisations.
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
        if not self.training or self.drop_path == 0:
            return branch
        kept = F.dropout(branch.new_ones(branch.shape[0], 1, 1, 1), self.drop_path)
        return branch * kept


class Stage(nn.Module):
    """Patches, blocks, normalisation.

    Args:
        embedding: Makes the patches.
        blocks: The blocks.
        channels: Of the result.
        eps: Of the normalisation.
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
    """Feature maps at strides 4, 8, 16 and 32 of images of any size.

    Args:
        name: `mit_b0` to `mit_b5`.
        eps: Of every layer normalisation. mmsegmentation and United Perception have 1e-6, Hugging
            Face's transformers 1e-5.
        in_channels: Of the images.

    Attributes:
        name: As given.
        channels: Of each feature map, from fine to coarse.
        strides: 4, 8, 16, 32.
        multiple: 1: any size is right.

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
        blocks_before_last = sum(variant.depths) - 1
        stages: list[Stage] = []
        block = 0
        for index, (channels, depth) in enumerate(zip(variant.channels, variant.depths, strict=True)):
            before = variant.channels[index - 1] if index else in_channels
            kernel_size, stride = (3, 2) if index else (7, 4)
            embedding = OverlappingPatches(before, channels, kernel_size, stride, eps)
            blocks = [
                Block(channels, HEADS[index], REDUCTIONS[index], DROP_PATH * (block + i) / blocks_before_last, eps)
                for i in range(depth)
            ]
            block += depth
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
    """A MiT, which has one output stride; it gives all maps."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return MiT(name, in_channels=in_channels)
