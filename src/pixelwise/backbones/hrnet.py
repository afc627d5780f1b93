"""HRNet: four parallel scales, from stride 4 to 32, that exchange their features repeatedly.

Wang et al., TPAMI 2020, arXiv:1908.07919. Implemented from the paper and from the graph of United
Perception (Apache-2.0), which is that of HRNet-Semantic-Segmentation (MIT). Modules have the same names
as there and in timm, so that timm's ImageNet weights fit unchanged.

Scales are upsampled bilinearly with aligned corners to the size of the map that they are added to, so
any image size works. (timm's network of the same layers uses nearest neighbour instead and needs
multiples of 32.) The layers that serve only image classification are left out. As in the original,
initial weights are PyTorch's defaults: every recipe starts from pretrained weights.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.layers.resizing import resize_to

STEM_CHANNELS = 64
EXPANSION = 4
"""Ratio of a bottleneck's output channels to its inner channels."""
STRIDES = (4, 8, 16, 32)


class Variant(NamedTuple):
    """Width and depth of an HRNet.

    Attributes:
        timm_name: timm's name of the network with the same layers.
        bottlenecks: Number of bottlenecks before the network branches into scales.
        bottleneck_channels: Inner channels of each bottleneck.
        channels: Channels of the scales, from fine to coarse.
        exchanges: Number of exchanges between two, three and four scales.
        blocks: Number of residual blocks of each scale before an exchange.
    """

    timm_name: str
    bottlenecks: int
    bottleneck_channels: int
    channels: tuple[int, int, int, int]
    exchanges: tuple[int, int, int]
    blocks: int


VARIANTS = {
    "w18": Variant("hrnet_w18", 4, 64, (18, 36, 72, 144), (1, 4, 3), 4),
    "w18-small-v1": Variant("hrnet_w18_small", 1, 32, (16, 32, 64, 128), (1, 1, 1), 2),
    "w18-small-v2": Variant("hrnet_w18_small_v2", 2, 64, (18, 36, 72, 144), (1, 3, 2), 2),
    "w48": Variant("hrnet_w48", 4, 64, (48, 96, 192, 384), (1, 4, 3), 4),
}
"""Name -> variant; "w18-small-v1" has a width of 16, not 18."""


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions with normalisation; keeps size and channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        residual = F.relu(self.bn1(self.conv1(features)), inplace=True)
        return F.relu(features + self.bn2(self.conv2(residual)), inplace=True)


class Bottleneck(nn.Module):
    """Residual block of a 1x1, a 3x3 and a 1x1 convolution with normalisation; its input is projected where narrower.

    Args:
        in_channels: Channels of the input features.
        channels: Channels of the inner convolutions; the result has four times as many.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = nn.Identity() if in_channels == out_channels else _conv1x1_norm(in_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        residual = F.relu(self.bn1(self.conv1(features)), inplace=True)
        residual = F.relu(self.bn2(self.conv2(residual)), inplace=True)
        return F.relu(self.downsample(features) + self.bn3(self.conv3(residual)), inplace=True)


class Exchange(nn.Module):
    """Residual blocks on every scale, then every scale becomes the sum of all scales at its size and channels.

    Args:
        channels: Channels of each scale, from fine to coarse; each scale has half the size of the one before.
        blocks: Number of residual blocks on each scale.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        scales = range(len(channels))
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in channels)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(channels, source, target) for source in scales) for target in scales
        )

    def forward(self, scales: list[Tensor]) -> list[Tensor]:
        """One (B, C, h, w) per scale to the same shapes."""
        scales = [branch(scale) for branch, scale in zip(self.branches, scales, strict=True)]
        exchanged = []
        for own, paths in zip(scales, self.fuse_layers, strict=True):
            first, *others = [
                resize_to(path(scale), own, align_corners=True)
                for path, scale in zip(cast(nn.ModuleList, paths), scales, strict=True)
            ]
            exchanged.append(F.relu(sum(others, start=first)))
        return exchanged


class HRNetEncoder(Encoder):
    """HRNet without its head, for images of any size.

    Args:
        variant: A name in `VARIANTS`.
        in_channels: Number of bands of the input images.
    """

    def __init__(self, variant: str, in_channels: int = 3) -> None:
        super().__init__()
        spec = VARIANTS[variant]
        self.name = f"hrnet-{variant}"
        self.timm_name = spec.timm_name
        self.channels: tuple[int, ...] = spec.channels
        self.strides: tuple[int, ...] = STRIDES
        self.multiple = 1
        self.conv1 = _conv3x3(in_channels, STEM_CHANNELS, stride=2)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.conv2 = _conv3x3(STEM_CHANNELS, STEM_CHANNELS, stride=2)
        self.bn2 = nn.BatchNorm2d(STEM_CHANNELS)
        wide = EXPANSION * spec.bottleneck_channels
        widths = (STEM_CHANNELS, *[wide] * (spec.bottlenecks - 1))
        self.layer1 = nn.Sequential(*(Bottleneck(width, spec.bottleneck_channels) for width in widths))
        c1, c2, c3, c4 = spec.channels
        stage2, stage3, stage4 = (
            nn.Sequential(*(Exchange(spec.channels[:scales], spec.blocks) for _ in range(exchanges)))
            for scales, exchanges in zip((2, 3, 4), spec.exchanges, strict=True)
        )
        # In the order of the state dicts of timm and of the original. In the later transitions only the
        # layer that creates the new scale has weights; the other entries are placeholders.
        self.transition1 = nn.ModuleList([_conv3x3_norm_relu(wide, c1), _halving(wide, c2)])
        self.stage2 = stage2
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), _halving(c2, c3)])
        self.stage3 = stage3
        self.transition3 = nn.ModuleList([nn.Identity(), nn.Identity(), nn.Identity(), _halving(c3, c4)])
        self.stage4 = stage4

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), H and W 1 or more, to one (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        features = F.relu(self.bn1(self.conv1(images)), inplace=True)
        features = F.relu(self.bn2(self.conv2(features)), inplace=True)
        features = self.layer1(features)
        scales = self.stage2([transition(features) for transition in self.transition1])
        scales = self.stage3([*scales, self.transition2[-1](scales[-1])])
        return self.stage4([*scales, self.transition3[-1](scales[-1])])


def join(scales: list[Tensor]) -> Tensor:
    """Concatenate all scales, upsampled to the size of the finest: (B, sum of C, H, W)."""
    finest = scales[0]
    return torch.cat([resize_to(scale, finest, align_corners=True) for scale in scales], dim=1)


def _path(channels: tuple[int, ...], source: int, target: int) -> nn.Module:
    """Layers that bring one scale to the channels of another, and to its size if that is smaller."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv1x1_norm(channels[source], channels[target])
    # One halving per scale in between; the last one changes the channels and has no ReLU, because it is summed.
    halvings: list[nn.Module] = [
        _conv3x3_norm_relu(channels[source], channels[source], stride=2) for _ in range(target - source - 1)
    ]
    last = nn.Sequential(
        _conv3x3(channels[source], channels[target], stride=2),
        nn.BatchNorm2d(channels[target]),
    )
    return nn.Sequential(*halvings, last)


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_conv3x3_norm_relu(in_channels, out_channels, stride=2))


def _conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)


def _conv3x3_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    conv = _conv3x3(in_channels, out_channels, stride)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _conv1x1_norm(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


@register_encoder(*(f"hrnet-{variant}" for variant in VARIANTS))
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> HRNetEncoder:
    """Build a variant; the only output stride is 32, and all feature maps are returned."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return HRNetEncoder(name.removeprefix("hrnet-"), in_channels)
