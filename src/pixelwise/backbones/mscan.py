"""MSCAN, the convolutional encoder of SegNeXt, whose attention weighs features by a convolution at several scales.

Guo et al., NeurIPS 2022, arXiv:2209.08575. Implemented from the paper and from the graph of its authors' code
(Visual-Attention-Network/SegNeXt@c87bcae) and of mmsegmentation's (both Apache-2.0). The names of the weights are
mmsegmentation's, whose published weights therefore fit; the authors' own are translated.

Initial weights are the authors': convolutions from a normal distribution with variance 2 / fan-out, biases 0.
Deviations: none.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.drop_path import drop_path, probabilities


class Variant(NamedTuple):
    """Size of a network.

    Attributes:
        channels: Channels of each stage.
        depths: Number of blocks in each stage.
        drop_path: Probability that an image skips a part of the last block in training; it grows linearly from 0 at
            the first block.
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    drop_path: float = 0.1


_WIDE = (64, 128, 320, 512)
VARIANTS = {
    "mscan_t": Variant((32, 64, 160, 256), (3, 3, 5, 2)),
    "mscan_s": Variant(_WIDE, (2, 2, 4, 2)),
    "mscan_b": Variant(_WIDE, (3, 3, 12, 3)),
    "mscan_l": Variant(_WIDE, (3, 5, 27, 3), drop_path=0.3),
}
STRIDES = (4, 8, 16, 32)
EXPANSIONS = (8, 8, 4, 4)
"""Ratio of a feed-forward part's inner channels to its input channels, per stage."""
STRIPS = (7, 11, 21)
"""Lengths of the pairs of strip convolutions."""
LAYER_SCALE = 1e-2
"""Initial factor of both parts of a block."""


class Stem(nn.Module):
    """Two 3x3 convolutions of stride 2, each with batch normalisation.

    Args:
        in_channels: Number of bands of the input images.
        channels: Output channels.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, C, ceil(H / 4), ceil(W / 4))."""
        return self.proj(images)


class OverlappingPatches(nn.Module):
    """A 3x3 convolution of stride 2 with batch normalisation.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel_size=3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / 2), ceil(W / 2))."""
        return self.norm(self.proj(features))


def depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    """A depthwise convolution with bias that keeps the size of the map; height and width of its kernel are odd."""
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)


class ConvolutionalAttention(nn.Module):
    """Features times a weighting that depthwise convolutions at several scales compute from them.

    A 5x5 convolution comes first. What three pairs of strip convolutions make of its result, each like a large square
    kernel, is added to it, and a 1x1 convolution mixes the channels.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = depthwise(channels, 5, 5)
        for index, length in enumerate(STRIPS):
            self.add_module(f"conv{index}_1", depthwise(channels, 1, length))
            self.add_module(f"conv{index}_2", depthwise(channels, length, 1))
        self.conv3 = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        near = self.conv0(features)
        total = near
        for index in range(len(STRIPS)):
            strip = self.get_submodule(f"conv{index}_1")(near)
            total = total + self.get_submodule(f"conv{index}_2")(strip)
        return self.conv3(total) * features


class SpatialAttention(nn.Module):
    """1x1 convolution, GELU, convolutional attention, 1x1 convolution; the result is added to the input.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, kernel_size=1)
        self.spatial_gating_unit = ConvolutionalAttention(channels)
        self.proj_2 = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(features)))) + features


class FeedForward(nn.Module):
    """1x1 convolution, depthwise 3x3 convolution, GELU, 1x1 convolution.

    Args:
        channels: Input and output channels.
        expansion: Ratio of the inner channels to them.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, expansion * channels, kernel_size=1)
        self.dwconv = depthwise(expansion * channels, 3, 3)
        self.fc2 = nn.Conv2d(expansion * channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return self.fc2(F.gelu(self.dwconv(self.fc1(features))))


class Block(nn.Module):
    """Attention and feed-forward part, each on the normalised input, scaled per channel and added to the input.

    Args:
        channels: Input and output channels.
        expansion: Ratio of the feed-forward part's inner channels to them.
        skipped: Probability that an image skips a part in training.
    """

    def __init__(self, channels: int, expansion: int, skipped: float) -> None:
        super().__init__()
        self.drop_path = skipped
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = SpatialAttention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = FeedForward(channels, expansion)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        features = features + self._skip(self.layer_scale_1[:, None, None] * self.attn(self.norm1(features)))
        return features + self._skip(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(features)))

    def _skip(self, branch: Tensor) -> Tensor:
        return drop_path(branch, self.drop_path, self.training)


class MSCAN(Encoder):
    """MSCAN: feature maps at strides 4, 8, 16 and 32, for images of any size.

    Args:
        name: Name of the variant, one of `VARIANTS`.
        in_channels: Number of bands of the input images.
        variant: Size of the network; None: that of `name`.

    Raises:
        RecipeError: R207, there is no such variant.
    """

    def __init__(self, name: str, in_channels: int = 3, *, variant: Variant | None = None) -> None:
        super().__init__()
        if variant is None and name not in VARIANTS:
            raise RecipeError("R207", f"there is no MSCAN named '{name}'", f"choose one of {', '.join(VARIANTS)}")
        size = variant or VARIANTS[name]
        self.name = name
        self.channels: tuple[int, ...] = size.channels
        self.strides: tuple[int, ...] = STRIDES
        self.multiple: int = 1
        before = in_channels
        skipping = probabilities(size.depths, size.drop_path)
        for stage, (channels, expansion) in enumerate(zip(size.channels, EXPANSIONS, strict=True), start=1):
            embedding = OverlappingPatches(before, channels) if stage > 1 else Stem(before, channels)
            blocks = (Block(channels, expansion, skipped) for skipped in skipping[stage - 1])
            self.add_module(f"patch_embed{stage}", embedding)
            self.add_module(f"block{stage}", nn.Sequential(*blocks))
            self.add_module(f"norm{stage}", nn.LayerNorm(channels))
            before = channels
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        maps: list[Tensor] = []
        features = images
        for stage in range(1, len(self.strides) + 1):
            for part in ("patch_embed", "block"):
                features = self.get_submodule(f"{part}{stage}")(features)
            normalised = self.get_submodule(f"norm{stage}")(features.permute(0, 2, 3, 1))
            features = normalised.permute(0, 3, 1, 2)
            maps.append(features)
        return maps


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@register_encoder(*VARIANTS)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> MSCAN:
    """Build an MSCAN; the only output stride is 32, and all feature maps are returned."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return MSCAN(name, in_channels)
