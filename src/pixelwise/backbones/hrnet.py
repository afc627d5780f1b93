"""HRNet: four scales side by side, from stride 4 to 32, that exchange their features again and again.

Wang et al., TPAMI 2020, arXiv:1908.07919. Written from the paper and from the graph of United
Perception (Apache-2.0), which is that of HRNet-Semantic-Segmentation (MIT). Modules are named as
there and in timm, so timm's ImageNet weights fit as they are.

Scales are enlarged bilinearly with corners aligned, to the size of the map that they are added to:
any image size is right. (timm's network of the same layers repeats pixels instead and needs
multiples of 32.) The layers that only classify images are left out. Initial weights are PyTorch's
default ones, as there: every recipe begins with pretrained weights.
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
"""Channels of a bottleneck / channels inside it."""
STRIDES = (4, 8, 16, 32)


class Variant(NamedTuple):
    """Width and depth of an HRNet.

    Attributes:
        timm_name: timm's name of the network with the same layers.
        bottlenecks: Number of bottlenecks before the scales part.
        bottleneck_channels: Inside each of them.
        channels: Of the scales, from fine to coarse.
        exchanges: How often two, three and four scales exchange their features.
        blocks: Residual blocks of each scale before an exchange.
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
"""Name -> variant; "small-v1" is narrower than its name says."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with normalisation, added to the input; keeps size and channels."""

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
    """1x1, 3x3 and 1x1 convolution with normalisation, added to the input, which is projected if it is narrower.

    Args:
        in_channels: Of the input.
        channels: Of the convolutions inside; the result has four times as many.
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
    """Residual blocks on every scale, then every scale becomes the sum of all, brought to its size and channels.

    Args:
        channels: Of each scale, from fine to coarse; each has half the size of the one before.
        blocks: Residual blocks on each scale.
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
    """HRNet without its head.

    Args:
        variant: One of `VARIANTS`.
        in_channels: Of the images.

    Attributes:
        name: Of the encoder.
        timm_name: timm's name of the network with the same layers.
        channels: Of each scale.
        strides: Of each scale.
        multiple: 1: images of any size are right.
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
        # In the order of the state dicts of timm and of the original. Of the later transitions only
        # what makes the new scale has weights; the places of the others are kept.
        self.transition1 = nn.ModuleList([_conv3x3_norm_relu(wide, c1), _halving(wide, c2)])
        self.stage2 = stage2
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), _halving(c2, c3)])
        self.stage3 = stage3
        self.transition3 = nn.ModuleList([nn.Identity(), nn.Identity(), nn.Identity(), _halving(c3, c4)])
        self.stage4 = stage4

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), any H and W from 1 on, to one (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        features = F.relu(self.bn1(self.conv1(images)), inplace=True)
        features = F.relu(self.bn2(self.conv2(features)), inplace=True)
        features = self.layer1(features)
        scales = self.stage2([transition(features) for transition in self.transition1])
        scales = self.stage3([*scales, self.transition2[-1](scales[-1])])
        return self.stage4([*scales, self.transition3[-1](scales[-1])])


def join(scales: list[Tensor]) -> Tensor:
    """All scales, enlarged to the finest one's size, in one map: (B, sum of C, H, W)."""
    finest = scales[0]
    return torch.cat([resize_to(scale, finest, align_corners=True) for scale in scales], dim=1)


def _path(channels: tuple[int, ...], source: int, target: int) -> nn.Module:
    """From one scale to another one's channels, and to its size if that is smaller."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv1x1_norm(channels[source], channels[target])
    # One halving per scale on the way; the last one changes the channels and is not rectified, as it is summed.
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
    """One of the variants, which have no output stride but 32; it gives all maps."""
    expect_output_stride(name, output_stride, STRIDES[-1])
    return HRNetEncoder(name.removeprefix("hrnet-"), in_channels)
