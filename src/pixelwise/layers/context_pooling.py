"""Context from averages over windows of several sizes: DDRNet's DAPPM and PIDNet's faster PAPPM.

Both take the coarsest features, average them over windows of 5, 9 and 17 pixels and over the whole map, and enlarge the
averages to the size of the features again. Windows at the border average the zeros beyond it too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.layers.convolutions import NormActivationConv
from pixelwise.layers.pooling import grid_means, window_means
from pixelwise.layers.resizing import resize_to

WINDOWS = ((5, 2), (9, 4), (17, 8))
"""(side, stride) of the windows; the last scale is the mean of the whole map."""
SCALES = len(WINDOWS) + 1
TRACED_SIZE = (577, 1157)
"""`SegmentationModel.traced_size` of networks that pool maps of stride 64: their coarsest averages are 2 by 3."""


class _ContextPooling(nn.Module):
    """What both kinds of pooling share.

    Args:
        in_channels: Channels of the input.
        channels: Channels of each scale.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.unpooled = NormActivationConv(in_channels, channels)
        self.scales = nn.ModuleList(NormActivationConv(in_channels, channels) for _ in range(SCALES))
        self.compress = NormActivationConv((1 + SCALES) * channels, out_channels)
        self.shortcut = NormActivationConv(in_channels, out_channels)

    def enlarged(self, scale: int, features: Tensor) -> Tensor:
        """The averages of a scale, 0..3, at the size of the features: (B, C, H, W) to (B, channels, H, W)."""
        if scale < len(WINDOWS):
            side, stride = WINDOWS[scale]
            averages = window_means(features, (side, side), (stride, stride), padding=side // 2)
        else:
            averages = grid_means(features, 1, 1)
        return resize_to(self.scales[scale](averages), features)


class DAPPM(_ContextPooling):
    """Deep aggregation pyramid pooling: each scale is added to the one before it, then convolved (arXiv:2101.06085)."""

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__(in_channels, channels, out_channels)
        self.mix = nn.ModuleList(NormActivationConv(channels, channels, 3) for _ in range(SCALES))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        levels = [self.unpooled(features)]
        for scale, mix in enumerate(self.mix):
            levels.append(mix(self.enlarged(scale, features) + levels[-1]))
        return self.compress(torch.cat(levels, dim=1)) + self.shortcut(features)


class PAPPM(_ContextPooling):
    """Parallel aggregation pyramid pooling: all scales are convolved at once, each by itself (arXiv:2206.02066)."""

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__(in_channels, channels, out_channels)
        self.mix = NormActivationConv(SCALES * channels, SCALES * channels, 3, groups=SCALES)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to (B, C', H, W)."""
        unpooled = self.unpooled(features)
        mixed = self.mix(torch.cat([self.enlarged(scale, features) + unpooled for scale in range(SCALES)], dim=1))
        return self.compress(torch.cat((unpooled, mixed), dim=1)) + self.shortcut(features)
