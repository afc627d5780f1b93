"""TensorFlow's MobileNetV2 and MobileNetV3-Large as used in its DeepLab.

MobileNetV2: Sandler et al. 2018, arXiv:1801.04381. MobileNetV3: Howard et al. 2019, arXiv:1905.02244.
Reimplements tensorflow/models, research/slim/nets/mobilenet and research/deeplab (Apache-2.0). The networks
differ from timm's of the same names in TensorFlow's conventions ("SAME" padding; halved widths that are
not rounded to multiples of 8), in the halved last stage of the MobileNetV3 for segmentation, and in the
dilation of the first block after the output stride is reached.
"""

from __future__ import annotations

import dataclasses
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.layers.initialisation import truncated_normal

EPS = 1e-3
MOMENTUM = 0.003
"""PyTorch's momentum for the original's decay of 0.997."""
STDDEV = 0.09
"""Standard deviation of the initial weights."""
SQUEEZE_FACTOR = 4
FINE = (2, 2)
"""(stage, block) from inside which the features of stride 8 come: `layer_7/depthwise_output` of the original."""


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """Specification of an inverted residual block.

    Attributes:
        expanded: Channels of the depthwise convolution; if equal to the input channels, there is no expansion.
        channels: Output channels of the block.
        kernel_size: Kernel size of the depthwise convolution.
        stride: Stride of the depthwise convolution.
        squeeze: Whether squeeze and excitation gates the result of the depthwise convolution.
        activation: Class of the activations after the expansion and the depthwise convolution.
    """

    expanded: int
    channels: int
    kernel_size: int = 3
    stride: int = 1
    squeeze: bool = False
    activation: type[nn.Module] = nn.ReLU6


@dataclasses.dataclass(frozen=True)
class MobileNetSpec:
    """Specification of a network without its classifier.

    Attributes:
        stem: Channels of the first convolution, which has stride 2.
        stages: Blocks of each stage, with stages counted as in timm.
        last: Channels of a 1x1 convolution at the end; None: there is none.
        activation: Class of the activations of the first and the last convolution.
    """

    stem: int
    stages: tuple[tuple[BlockSpec, ...], ...]
    last: int | None = None
    activation: type[nn.Module] = nn.ReLU6


def _mobilenetv2(*widths: int) -> MobileNetSpec:
    """The MobileNetV2 with the given channels of stem and seven stages; all blocks but the first expand by 6."""
    repeats, strides = (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)
    channels, stages = widths[0], []
    for width, repeat, stride in zip(widths[1:], repeats, strides, strict=True):
        factor = 6 if stages else 1
        first = BlockSpec(factor * channels, width, stride=stride)
        stages.append((first, *[BlockSpec(6 * width, width)] * (repeat - 1)))
        channels = width
    return MobileNetSpec(stem=widths[0], stages=tuple(stages))


_SWISH = nn.Hardswish
SPECS = {
    "mobilenetv2_100": _mobilenetv2(32, 16, 24, 32, 64, 96, 160, 320),
    "mobilenetv2_050": _mobilenetv2(16, 8, 12, 16, 32, 48, 80, 160),
    "mobilenetv3_large_seg": MobileNetSpec(
        stem=16,
        stages=(
            (BlockSpec(16, 16, activation=nn.ReLU),),
            (BlockSpec(64, 24, stride=2, activation=nn.ReLU), BlockSpec(72, 24, activation=nn.ReLU)),
            (
                BlockSpec(72, 40, kernel_size=5, stride=2, squeeze=True, activation=nn.ReLU),
                *[BlockSpec(120, 40, kernel_size=5, squeeze=True, activation=nn.ReLU)] * 2,
            ),
            (
                BlockSpec(240, 80, stride=2, activation=_SWISH),
                BlockSpec(200, 80, activation=_SWISH),
                *[BlockSpec(184, 80, activation=_SWISH)] * 2,
            ),
            (
                BlockSpec(480, 112, squeeze=True, activation=_SWISH),
                BlockSpec(672, 112, squeeze=True, activation=_SWISH),
            ),
            (
                BlockSpec(336, 80, kernel_size=5, stride=2, squeeze=True, activation=_SWISH),
                *[BlockSpec(480, 80, kernel_size=5, squeeze=True, activation=_SWISH)] * 2,
            ),
        ),
        last=480,
        activation=_SWISH,
    ),
}
"""Name -> network. The last stage of the MobileNetV3 is half as wide as in the classification network."""


class SameConv(nn.Conv2d):
    """A convolution without bias and with TensorFlow's "SAME" padding.

    The result has the size ceil(size / stride); where the padding is odd, the extra row or column is at the end.

    Args:
        kernel_size: Side of the square kernel, odd.
        stride: Stride of the convolution, 1 or 2.
        dilation: Dilation of the kernel, above 1 only with stride 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        # With stride 1 the padding is the same on all sides, so the convolution itself can do it.
        padding = dilation * (kernel_size // 2) if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False)

    def forward(self, features: Tensor) -> Tensor:  # type: ignore[override]
        """(B, C, H, W) float to (B, C', ceil(H / stride), ceil(W / stride))."""
        if self.stride == (2, 2):
            height, width = features.shape[-2:]
            rows = self.kernel_size[0] - 2 + height % 2
            columns = self.kernel_size[1] - 2 + width % 2
            features = F.pad(features, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return super().forward(features)


class SqueezeExcitation(nn.Module):
    """Squeeze and excitation: two 1x1 convolutions of the channel means and a hard sigmoid scale the channels.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = make_divisible(channels / SQUEEZE_FACTOR)
        self.reduce = nn.Conv2d(channels, squeezed, kernel_size=1)
        self.expand = nn.Conv2d(squeezed, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to the same shape."""
        means = features.mean(dim=(2, 3), keepdim=True)
        return features * F.hardsigmoid(self.expand(F.relu(self.reduce(means))))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; added to the input where the shapes are the same.

    Args:
        in_channels: Channels of the input features.
        spec: Specification of the block.
        stride: Stride that replaces the one in `spec`.
        dilation: Dilation of the depthwise convolution.
    """

    def __init__(self, in_channels: int, spec: BlockSpec, stride: int, dilation: int) -> None:
        super().__init__()
        expanded = spec.expanded
        self.expands: bool = expanded != in_channels
        depthwise = SameConv(expanded, expanded, spec.kernel_size, stride=stride, dilation=dilation, groups=expanded)
        project = SameConv(expanded, spec.channels, 1)
        # timm's names, which differ in blocks without expansion, so that its weights fit.
        if self.expands:
            self.conv_pw, self.bn1 = SameConv(in_channels, expanded, 1), _norm(expanded)
            self.conv_dw, self.bn2 = depthwise, _norm(expanded)
            self.conv_pwl, self.bn3 = project, _norm(spec.channels)
        else:
            self.conv_dw, self.bn1 = depthwise, _norm(expanded)
            self.conv_pw, self.bn2 = project, _norm(spec.channels)
        self.activation = spec.activation()
        self.se: nn.Module = SqueezeExcitation(expanded) if spec.squeeze else nn.Identity()
        self.residual: bool = stride == 1 and in_channels == spec.channels

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) float to the result of the block and that of its depthwise convolution, before the gate."""
        if self.expands:
            expanded = self.activation(self.bn1(self.conv_pw(features)))
            depthwise = self.activation(self.bn2(self.conv_dw(expanded)))
            projected = self.bn3(self.conv_pwl(self.se(depthwise)))
        else:
            depthwise = self.activation(self.bn1(self.conv_dw(features)))
            projected = self.bn2(self.conv_pw(self.se(depthwise)))
        return (features + projected if self.residual else projected), depthwise


class TFMobileNet(Encoder):
    """Two feature maps, one of stride 8 from inside a block and the coarsest one, for images of any size.

    Args:
        name: A name in `SPECS`.
        output_stride: Stride of the coarsest feature map, 8, 16 or 32. A further stride becomes a dilation of the
            blocks after the one that would have had the stride.
        in_channels: Number of bands of the input images.
    """

    def __init__(self, name: str, output_stride: int, in_channels: int = 3) -> None:
        super().__init__()
        spec = SPECS[name]
        self.conv_stem, self.bn1 = SameConv(in_channels, spec.stem, 3, stride=2), _norm(spec.stem)
        self.activation = spec.activation()
        channels, reached, dilation = spec.stem, 2, 1
        self.blocks = nn.ModuleList()
        for stage in spec.stages:
            blocks = nn.ModuleList()
            self.blocks.append(blocks)
            for block in stage:
                stride = block.stride if reached < output_stride else 1
                blocks.append(InvertedResidual(channels, block, stride, dilation))
                reached *= stride
                dilation *= block.stride // stride
                channels = block.channels
        self.conv_last, self.bn_last = None, None
        if spec.last is not None:
            self.conv_last, self.bn_last = SameConv(channels, spec.last, 1), _norm(spec.last)
            channels = spec.last
        self.name: str = name
        stage, place = FINE
        self.channels: tuple[int, int] = (spec.stages[stage][place].expanded, channels)
        self.strides: tuple[int, int] = (8, output_stride)
        self.multiple: int = 1
        truncated_normal(self, STDDEV)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / stride), ceil(W / stride)) per stride."""
        features = self.activation(self.bn1(self.conv_stem(images)))
        fine = features
        for stage, blocks in enumerate(self.blocks):
            for place, block in enumerate(cast("nn.ModuleList", blocks)):
                features, depthwise = block(features)
                if (stage, place) == FINE:
                    fine = depthwise
        if self.conv_last is not None and self.bn_last is not None:
            features = self.activation(self.bn_last(self.conv_last(features)))
        return [fine, features]


def make_divisible(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and never less than nine tenths of `channels`.

    slim's `_make_divisible` (slim/nets/mobilenet/mobilenet.py), which its squeeze and excitation uses: a quarter of 72
    channels, 18, becomes 24, not 16.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


PREFIX = "tensorflow/"
"""Prefix that distinguishes these encoders from timm's networks of the same names, which pad differently."""


@register_encoder(*(PREFIX + name for name in SPECS))
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> TFMobileNet:
    """Build a MobileNet; the default output stride is 32, and both feature maps are returned."""
    return TFMobileNet(name.removeprefix(PREFIX), expect_output_stride(name, output_stride, 8, 16, 32), in_channels)
