"""Encoders of TI's Lite networks: timm's MobileNetV2 and RegNetX, with TI's activations and strides.

MobileNetV2: Sandler et al. 2018, arXiv:1801.04381. RegNetX: Radosavovic et al. 2020, arXiv:2003.13678.
timm's graphs are those of torchvision and pycls, which TI uses: 3x3 kernels padded by one on every
side, batch normalisation with eps 1e-5. TI replaces ReLU6 by ReLU, except in MobileNetV2 of width 1.4.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.backbones.timm import TimmEncoder

GROUP_SIZES = {
    "mobilenetv2_100": 1,
    "mobilenetv2_140": 1,
    "regnetx_004": 16,
    "regnetx_008": 16,
    "regnetx_016": 24,
    "regnetx_032": 48,
}
"""Name of the encoder -> input channels per group of its 3x3 convolutions; decoders use the same group size."""

_COARSEST = {"mobilenetv2": "blocks.5.0.", "regnetx": "s4.b1."}
"""First part of the encoder's name -> module in which the last stride of 2 is."""


class LiteEncoder(TimmEncoder):
    """Feature maps of a MobileNetV2 or RegNetX at strides 2, 4, 8, 16 and 32; images of any size.

    Args:
        name: A name in `GROUP_SIZES`.
        output_stride: Stride of the coarsest feature maps. At 16 the last stride of 2 becomes 1 without any
            dilation in its place, as in TI's S16 encoders.
        in_channels: Number of bands of the input images.

    Attributes:
        group_size: Input channels per group of the 3x3 convolutions.
        activation: Class of the activation modules.
    """

    def __init__(self, name: str, output_stride: Literal[16, 32] = 32, in_channels: int = 3) -> None:
        activation = nn.ReLU6 if name == "mobilenetv2_140" else nn.ReLU
        super().__init__(name, in_channels=in_channels, act_layer=activation)
        self.group_size: int = GROUP_SIZES[name]
        self.activation: type[nn.Module] = activation
        if output_stride == 16:
            place = _COARSEST[name.split("_")[0]]
            for module_name, module in self.network.named_modules():
                if module_name.startswith(place) and isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
            self.strides = (*self.strides[:-1], 16)


PREFIX = "edgeai/"
"""Prefix that distinguishes these encoders from timm's networks of the same names, which have other activations."""


@register_encoder(*(PREFIX + name for name in GROUP_SIZES))
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> LiteEncoder:
    """Build one of TI's encoders; the default output stride is 32, and all feature maps are returned."""
    return LiteEncoder(
        name.removeprefix(PREFIX), 16 if expect_output_stride(name, output_stride, 16, 32) == 16 else 32, in_channels
    )
