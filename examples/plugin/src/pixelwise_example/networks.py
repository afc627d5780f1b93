"""Networks of the example family and of the example encoder; imported when one of them is built."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.models.base import SegmentationModel
from pixelwise_example.family import DilatedSpec


def convolution(in_channels: int, channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A 3x3 convolution with batch normalisation and ReLU; stride 2 halves the size, rounded up."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class Dilated(SegmentationModel):
    """A stem of stride 4, dilated convolutions and a classifier."""

    def __init__(self, spec: DilatedSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        width = spec.channels
        self.stem = nn.Sequential(
            convolution(spec.preprocessing.in_channels, width, stride=2), convolution(width, width, stride=2)
        )
        self.body = nn.Sequential(*(convolution(width, width, dilation=dilation) for dilation in spec.dilations))
        self.classifier = nn.Conv2d(width, self.num_classes, kernel_size=1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits (B, K, ceil(H / 4), ceil(W / 4)), as the only element."""
        return (self.classifier(self.body(self.stem(images))),)


class Tiny(Encoder):
    """Four convolutions of stride 2: feature maps of 8, 16, 32 and 64 channels at strides 2, 4, 8 and 16.

    Args:
        in_channels: Number of bands of the input images.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.name = "example-tiny"
        self.channels = (8, 16, 32, 64)
        self.strides = (2, 4, 8, 16)
        self.stages = nn.ModuleList(
            convolution(inputs, outputs, stride=2)
            for inputs, outputs in zip((in_channels, *self.channels), self.channels, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map float images (B, in_channels, H, W) to one feature map (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        maps = [images]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]
